"""The check of a corpus before training: reads every item, decodes every sound file once, writes the table of items."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
from datasets.arrow_writer import ArrowWriter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lalm_ambig.audio.inspection import NOT_SOUND, Inspection, inspect_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.files.atomic import new_folder, write_text

ITEMS_FILE = "items.arrow"
CHECK_FILE = "check.json"
PROBLEMS_FILE = "problems.txt"
SHOWN_PER_KIND = 10
"""Lines on one kind of problem that are shown; all of them are in PROBLEMS_FILE."""
ITEMS_AT_ONCE = 256

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "votes": datasets.List(datasets.Value("float64")),
        "audio": datasets.Value("string"),
        "text": datasets.Value("string"),
        "rationale": datasets.Value("string"),
        "speaker": datasets.Value("string"),
        "split": datasets.Value("string"),
        "duration_s": datasets.Value("float64"),
        "part": datasets.Value("string"),
        "annotators": datasets.List(datasets.Value("string")),
        "annotations": datasets.List(datasets.Value("int64")),
        "annotator": datasets.Value("string"),
        "about_annotator": datasets.Value("string"),
    }
)
"""The columns on disk: the fields of Item."""


@dataclass(frozen=True)
class Survey:
    """Counts and folders from a first reading of the labels."""

    items: int
    folders: frozenset[str]
    """Folders that hold sound files of the corpus."""
    suffixes: frozenset[str]
    """Endings of those files' names."""


def survey(corpus: Corpus) -> Survey:
    """Read every label, without opening a sound file.

    Raises:
        InputError: Two items have one id, or there is no item.
    """
    ids: set[str] = set()
    places: set[tuple[str, str]] = set()
    for item in corpus.read():
        if item.id in ids:
            raise InputError(f"two items have the id {item.id!r}", where=f"corpus {corpus.name}")
        ids.add(item.id)
        if item.audio is not None:
            path = Path(item.audio)
            places.add((str(path.parent), path.suffix))
    if not ids:
        raise InputError(f"no item has a vote in {corpus.root}", where=f"corpus {corpus.name}")
    return Survey(len(ids), frozenset(folder for folder, _ in places), frozenset(end for _, end in places))


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


def build(corpus: Corpus, folder: Path, *, items: int | None, quiet: bool) -> None:
    """Write the table of items, the check's result and all problem lines into `folder`, completely or not at all.

    Args:
        corpus: The corpus to read.
        folder: Gets its name once everything is in it.
        items: Number of items to check, for the progress bar; None opens no sound file.
        quiet: No progress bar.

    Raises:
        InputError: Sound files hold text, or no item is left.
    """
    findings = Findings()
    with new_folder(folder) as unfinished:
        _write_items(_checked(corpus, items, quiet=quiet), unfinished, findings=findings)
        _refuse_text(corpus, findings)
        if not findings.usable:
            first = next(iter(findings.lines.values()))[0]
            where = f"corpus {corpus.name}"
            raise InputError(
                f"all {findings.left_out:,} items were left out; the first: {first}", where=where
            )
        notes = [*corpus.notes()]
        if findings.left_out:
            notes.append(f"{findings.left_out:,} of {findings.left_out + findings.usable:,} items left out:")
        about = {
            "names": corpus.categories.names,
            "verbalisers": corpus.categories.verbalisers,
            "prompt_names": corpus.categories.prompt_names,
            "domain": corpus.categories.domain,
            "ordered": corpus.categories.ordered,
            "notes": notes,
            "left_out": findings.left_out,
            "problems": findings.summary(),
        }
        write_text(unfinished / CHECK_FILE, json.dumps(about))


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


def _write_items(checked: Iterable[tuple[Item, Inspection]], folder: Path, *, findings: Findings) -> None:
    with (
        (folder / PROBLEMS_FILE).open("w", encoding="utf-8") as problems,
        ArrowWriter(path=str(folder / ITEMS_FILE), features=FEATURES) as writer,
    ):
        for item, inspection in checked:
            findings.add(inspection)
            problems.writelines(f"{problem.line}\n" for problem in inspection.problems)
            if inspection.usable:
                row = {name: getattr(item, name) for name in FEATURES}  # not asdict, which copies every vote
                writer.write(row | {"duration_s": inspection.duration_s})
        writer.finalize()


def _checked(corpus: Corpus, total: int | None, *, quiet: bool) -> Iterator[tuple[Item, Inspection]]:
    """Yield every item with the inspection of its sound, in order, on all cores."""
    if total is None:
        yield from ((item, Inspection(usable=True, duration_s=0.0)) for item in corpus.read())
        return
    with _progress(quiet=quiet) as progress, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        task = progress.add_task(f"checking {corpus.name}", total=total)
        for group in _groups(corpus.read()):
            sounds = any(item.audio is not None for item in group)
            yield from zip(group, (pool.map if sounds else map)(_inspect, group), strict=True)
            progress.update(task, advance=len(group))


def _inspect(item: Item) -> Inspection:
    return Inspection(usable=True, duration_s=0.0) if item.audio is None else inspect_audio(item.audio)


def _groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while group := list(islice(iterator, ITEMS_AT_ONCE)):
        yield group


def _progress(*, quiet: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
