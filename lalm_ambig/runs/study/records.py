"""The finished runs of a study, read from their folders or from the small files that are kept in their place."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from lalm_ambig.config.identity import identity_of, leaves
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.evaluation.effort import Effort, read_effort
from lalm_ambig.evaluation.one_evaluation import read_evaluation
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.seeds import SeedRun, StudyRow, with_every_metric
from lalm_ambig.files.json_lines import json_value
from lalm_ambig.files.text import read_text
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.runs.checkpoints.selection import read_selection
from lalm_ambig.runs.fold_by_fold import OPTION, SCALED
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.study.kept import (
    ITEMS,
    REFERENCES,
    REFERENCES_FILE,
    read_items,
    read_kept,
    read_references,
    rounded,
    unanswered,
    without_parts,
    write_items,
    write_json,
    write_kept,
)
from lalm_ambig.runs.study.plan import PlannedRun, Row, Study, run_name

ASKED = "asked.json"
"""What a row that evaluates has asked for, beside its answers."""
CorpusItems = Callable[[], Iterable[Item]]


@dataclass(frozen=True)
class StudyResults:
    """All that is finished of a study, of the rows that are in its table."""

    study: Study
    rows: tuple[StudyRow, ...]
    """In the order of the study; one without a finished run has none."""
    references: Mapping[str, Results]
    """Those of `REFERENCES` that a run has made."""

    @property
    def reference(self) -> StudyRow:
        """The row that the others are compared with."""
        return next(row for row in self.rows if row.name == self.study.reference)


def is_finished(root: Path, run: PlannedRun) -> bool:
    """Whether a run's folder needs no more work."""
    if run.row.of is None:
        return RunFolder(root / run.name).is_tested
    return (answers_folder(root, run) / "metrics.json").is_file()


def answers_folder(root: Path, run: PlannedRun) -> Path:
    """Folder of the answers that a run's row in the table is made from."""
    if run.row.of is None:
        return RunFolder(root / run.name).evaluation("trained")
    return root / run.name / SCALED if OPTION in run.row.evaluate else root / run.name


def read_rows(study: Study, root: Path, corpus_items: CorpusItems | None = None) -> StudyResults:
    """Read every finished run of a study, of any seed.

    Args:
        study: The study.
        root: Folder of its runs, or of files that `keep` wrote.
        corpus_items: Reads the test items of the study's corpus, for files that were kept without them.

    Raises:
        InputError: No run is finished, or a file is not what it should be.
    """
    shown = [row for row in study.rows if row.in_table]
    runs = {row.name: [PlannedRun(row, seed) for seed in _seeds(root, row)] for row in shown}
    items = _items(root, [run for row in runs.values() for run in row], corpus_items)
    rows = tuple(
        StudyRow(
            row.name,
            row.label,
            tuple(
                with_every_metric(one)
                for run in runs[row.name]
                if (one := _read(study, root, run, items)) is not None
            ),
        )
        for row in shown
    )
    if not any(row.runs for row in rows):
        raise InputError(f"no finished run of study {study.name} in {root}", where="--root")
    for row in rows:
        trained = study.row(row.name).of or row.name
        _check_alike([RunFolder(root / run_name(trained, run.seed)) for run in row.runs])
    references = _references(study, root, rows)
    _check_references(references, rows)
    return StudyResults(study, rows, references)


def _items(
    root: Path, runs: Sequence[PlannedRun], corpus_items: CorpusItems | None
) -> Mapping[str, Prediction]:
    """The items of kept files, by id; none where no run is read from such a file."""
    if (root / ITEMS).is_file():
        return read_items(root / ITEMS)
    kept = any((root / f"{run.name}.json").is_file() and not is_finished(root, run) for run in runs)
    return {item.id: unanswered(item) for item in corpus_items()} if kept and corpus_items else {}


def _check_alike(runs: Sequence[RunFolder]) -> None:
    """Refuse runs of one row that differ in more than their seeds.

    Raises:
        InputError: They do; names the first difference.
    """
    configs = {run.path.name: read_yaml(run.config) for run in runs if run.config.is_file()}
    contents = {name: _without_seed(config) for name, config in configs.items()}
    for (first, one), (second, other) in pairwise(contents.items()):
        if identity_of(one) != identity_of(other):
            ours, theirs = dict(leaves(one)), dict(leaves(other))
            key = next(
                (key for key in ours | theirs if ours.get(key) != theirs.get(key)), "a file that they name"
            )
            raise InputError(
                f"{first} and {second} differ in {key}: {ours.get(key)} and {theirs.get(key)}.",
                where="study",
                remedy="Runs of a row differ in their seeds alone: move one of them away, and make it again.",
            )


def _without_seed(config: dict[str, Any]) -> dict[str, Any]:
    """A resolved configuration without what differs between the seeds of a row."""
    model = config["model"]
    settings = {**(model.get("init_args") or {}), "start": None}
    shared = {key: value for key, value in config.items() if key not in ("seed", "seed_everything", "run")}
    return {**shared, "model": {**model, "init_args": settings}}


def _seeds(root: Path, row: Row) -> list[int]:
    """Seeds of a row for which there is a folder or a kept file."""
    pattern = re.compile(rf"{re.escape(row.name)}-s(\d+)(\.json)?")
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    return sorted({int(match[1]) for name in names if (match := pattern.fullmatch(name))})


def _read(study: Study, root: Path, run: PlannedRun, items: Mapping[str, Prediction]) -> SeedRun | None:
    """Return a run from its folder or its kept files; None if it is not finished."""
    if not is_finished(root, run):
        if not (root / f"{run.name}.json").is_file():
            return None
        kept = read_kept(root, run.name, run.seed, items)
        if run.row.of is not None:
            check_asked(root / run.name, run.row, kept.results)
        return kept
    folder = answers_folder(root, run)
    trained = run.row if run.row.of is None else study.row(run.row.of)
    selection = read_selection(RunFolder(root / run_name(trained.name, run.seed)).selection)
    predictions, results = read_evaluation(folder)
    if run.row.of is not None:
        check_asked(root / run.name, run.row, results)
    return SeedRun(
        run.name,
        run.seed,
        results,
        [replace(p, predicted_dist=rounded(p.predicted_dist)) for p in predictions],
        # an averaged readout has no validation of its own
        validation={} if selection is None or run.row.of is not None else selection.chosen.metrics,
        efforts=_efforts(study, root, trained, run.seed),
        chosen=None if selection is None or selection.chosen.step < 0 else selection.chosen.step,
    )


def asked_of(row: Row) -> dict[str, Any]:
    """Return what a row that evaluates asks for."""
    return {"of": row.of, "samples": row.samples, "evaluate": list(row.evaluate)}


def check_asked(folder: Path, row: Row, results: Results) -> None:
    """Refuse answers to another question than the row's.

    Args:
        folder: Of the answers.
        row: A row that evaluates.
        results: Of the answers.

    Raises:
        InputError: They are.
    """
    asked = asked_of(row)
    if (folder / ASKED).is_file():
        made = json_value(read_text(folder / ASKED), source=str(folder / ASKED))
    else:  # evaluated by hand
        made = {**asked, "samples": None if row.samples is None else results.about.samples}
    if made != asked:
        raise InputError(
            f"{folder} answers {made}, and the study asks for {asked}.",
            where="study",
            remedy="Move that folder away, and make it again.",
        )


def _efforts(study: Study, root: Path, row: Row, seed: int) -> tuple[Effort | None, ...]:
    own = read_effort(RunFolder(root / run_name(row.name, seed)).effort)
    return (own, *(() if row.start is None else _efforts(study, root, study.row(row.start), seed)))


def _references(study: Study, root: Path, rows: Sequence[StudyRow]) -> dict[str, Results]:
    """The reference rows of the first run that has each, the study's reference row first."""
    found = read_references(root / REFERENCES_FILE) if (root / REFERENCES_FILE).is_file() else {}
    ordered = sorted(rows, key=lambda row: row.name != study.reference)
    folders = [
        root / run.name if study.row(row.name).of is not None else RunFolder(root / run.name).evaluation("")
        for row in ordered
        for run in row.runs
    ]
    for name in REFERENCES:
        files = [folder / name / "metrics.json" for folder in folders]
        if (file := next((file for file in files if file.is_file()), None)) is not None:
            found[name] = read_results(file)
    return found


def _check_references(references: Mapping[str, Results], rows: Sequence[StudyRow]) -> None:
    """Refuse references on other items than the runs that they stand beside.

    Raises:
        InputError: One is; names it.
    """
    run = next(run for row in rows for run in row.runs)
    for name, results in references.items():
        if results.items_digest != run.results.items_digest:
            raise InputError(
                f"{name} is about {results.items} items ({results.items_digest}), and {run.name} about "
                f"{run.results.items} others ({run.results.items_digest}):",
                where="study",
                remedy=f"Remove {name} from {REFERENCES_FILE}, or the evaluation that it is of.",
            )


def check_kept_place(results: StudyResults, out: Path) -> None:
    """Check that a folder keeps no runs of the study's rows but those of its results: a later table would have them.

    Raises:
        InputError: It does; names them.
    """
    ours = {run.name for row in results.rows for run in row.runs}
    rows = [results.study.row(row.name) for row in results.rows]
    kept = {run_name(row.name, seed) for row in rows for seed in _seeds(out, row)}
    if others := sorted(name for name in kept - ours if (out / f"{name}.json").is_file()):
        raise InputError(
            f"{', '.join(others)} of another time would stand beside the runs of this table:",
            where=str(out),
            remedy="Move those files away, or name another folder.",
        )


def keep(results: StudyResults, out: Path, *, votes: bool = True) -> None:
    """Write the small files from which `read_rows` makes the same results.

    Args:
        results: Of a study.
        out: The folder.
        votes: Whether to write the items with their speakers and votes, too. Without them `read_rows` needs the corpus.
    """
    runs = [run for row in results.rows for run in row.runs]
    if votes:
        write_items(runs[0].predictions, out / ITEMS)
    else:
        (out / ITEMS).unlink(missing_ok=True)  # of an earlier time with votes
    for run in runs:
        write_kept(run, out)
    write_json(out / REFERENCES_FILE, {name: without_parts(row) for name, row in results.references.items()})
