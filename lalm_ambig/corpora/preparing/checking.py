"""The check of a corpus before training: decodes every sound file once, and writes the table of usable items."""

import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lalm_ambig.audio.inspection import NOT_SOUND, Inspection, inspect_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.inspections import Inspections
from lalm_ambig.corpora.preparing.labels import ITEMS_FILE, SCHEMA, Labels, open_items
from lalm_ambig.files.atomic import new_folder, write_lines, write_text

CHECK_FILE = "check.json"
PROBLEMS_FILE = "problems.txt"
SHOWN_PER_KIND = 10
"""Lines on one kind of problem that are shown; all of them are in PROBLEMS_FILE."""
ITEMS_AT_ONCE = 256
WITHOUT_SOUND = Inspection(usable=True, duration_s=0.0)


@dataclass
class Findings:
    """Counts and fault lines of the check so far."""

    usable: int = 0
    left_out: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    lines: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The first SHOWN_PER_KIND lines of each kind of problem."""

    def add(self, inspection: Inspection) -> None:
        self.usable += inspection.usable
        self.left_out += not inspection.usable
        for problem in inspection.problems:
            self.counts[problem.kind] += 1
            if self.counts[problem.kind] <= SHOWN_PER_KIND:
                self.lines[problem.kind].append(problem.line)

    def summary(self) -> dict[str, Any]:
        return {kind: {"count": count, "lines": self.lines[kind]} for kind, count in self.counts.items()}


def build(corpus: Corpus, labels: Labels, folder: Path, *, sounds: Inspections | None, quiet: bool) -> None:
    """Write the table of usable items, the check's result and all problem lines, completely or not at all.

    Args:
        corpus: The corpus.
        labels: Its labels.
        folder: Gets its name once everything is in it.
        sounds: Earlier results for its sound files; None opens no sound file.
        quiet: No progress bar.

    Raises:
        InputError: Sound files hold text, or no item is left.
    """
    findings = Findings()
    with new_folder(folder) as unfinished:
        table = folder.parent / labels.file
        if sounds is None or not labels.folders:
            findings.usable = labels.items
            write_lines(unfinished / PROBLEMS_FILE, ())
            _same_file(table, unfinished / ITEMS_FILE)
        else:
            with _progress(quiet=quiet) as progress:
                progress.add_task(f"checking {corpus.name}", total=labels.items)
                lines = _checked(open_items(table), unfinished / ITEMS_FILE, sounds, findings, progress)
                write_lines(unfinished / PROBLEMS_FILE, lines)
        _refuse_text(corpus, findings)
        if not findings.usable:
            first = next(iter(findings.lines.values()))[0]
            where = f"corpus {corpus.name}"
            raise InputError(
                f"all {findings.left_out:,} items were left out; the first: {first}", where=where
            )
        notes = [*labels.about["notes"]]
        if findings.left_out:
            notes.append(f"{findings.left_out:,} of {findings.left_out + findings.usable:,} items left out:")
        left_out = {"left_out": findings.left_out, "problems": findings.summary()}
        write_text(unfinished / CHECK_FILE, json.dumps({**labels.about, "notes": notes, **left_out}))


def _same_file(source: Path, target: Path) -> None:
    """Let a file have a second name, or copy it where the file system has no such names."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _refuse_text(corpus: Corpus, findings: Findings) -> None:
    """A page or a pointer in place of a clip means that a download failed: training on the rest would hide it."""
    kinds = [kind for kind in findings.counts if kind.endswith(NOT_SOUND)]
    if kinds:
        count = sum(findings.counts[kind] for kind in kinds)
        first = findings.lines[kinds[0]][0].removesuffix(": left out")
        raise InputError(
            f"{count:,} of its sound files hold none; the first: {first}.",
            where=f"corpus {corpus.name}",
            remedy="Fetch them again, or remove them.",
        )


def _checked(
    table: pyarrow.Table, file: Path, sounds: Inspections, findings: Findings, progress: Progress
) -> Iterator[str]:
    """Write the usable items with the durations of their sounds, in order; yield a line per problem."""
    task = progress.task_ids[0]
    with (
        sounds,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        pyarrow.ipc.new_stream(str(file), SCHEMA) as writer,
    ):
        for batch in table.to_batches():
            results: list[Inspection] = []
            paths = batch.column("audio").to_pylist()
            for start in range(0, len(paths), ITEMS_AT_ONCE):
                group = paths[start : start + ITEMS_AT_ONCE]
                results += _inspected(group, sounds, pool)
                progress.update(task, advance=len(group))
            for result in results:
                findings.add(result)
                yield from (problem.line for problem in result.problems)
            at, column = SCHEMA.get_field_index("duration_s"), SCHEMA.field("duration_s")
            durations = pyarrow.array([result.duration_s for result in results], column.type)
            usable = pyarrow.array([result.usable for result in results])
            writer.write_batch(batch.set_column(at, column, durations).filter(usable))


def _inspected(paths: list[str | None], sounds: Inspections, pool: ThreadPoolExecutor) -> list[Inspection]:
    """The results for some items' sounds: earlier ones, and the others on all cores."""
    stamps = [None if path is None else sounds.stamp(path) for path in paths]
    pairs = list(zip(paths, stamps, strict=True))
    results = [WITHOUT_SOUND if path is None else sounds.earlier(path, stamp) for path, stamp in pairs]
    missing = [at for at, result in enumerate(results) if result is None]
    decoded = pool.map(lambda at: inspect_audio(str(paths[at])), missing) if missing else ()
    for at, result in zip(missing, decoded, strict=True):
        results[at] = result
        sounds.add(str(paths[at]), stamps[at], result)
    return [result for result in results if result is not None]


def _progress(*, quiet: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
