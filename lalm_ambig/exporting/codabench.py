"""A submission to the tasks of LeWiDi 2025 (codabench.org/competitions/7192), and the organisers' score of it.

Of the soft task, the zip has a table per set, without folders: `mp_test_soft.tsv`, `csc_test_soft.tsv`,
`par_test_soft.tsv` and `ven_test_soft.tsv`. A line is an item's key, a tab, and its distribution as a JSON list, in the
order of the test file:

- MP: the shares of 0 and 1; Par: of −5 to 5;
- CSC: the shares of 0 to 6, as in the organisers' example, though nobody may choose 0;
- VariErrNLI: for contradiction, entailment and neutral a list of the shares of no and yes.

Answers for single annotators make a table of the perspectivist task (`codabench_annotators`).

The sets of 2023 are scored and not written: that task had another form and is over.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.lewidi.corpus import Lewidi
from lalm_ambig.corpora.lewidi.parts import yes_shares
from lalm_ambig.evaluation.annotator_scores import is_of_pairs
from lalm_ambig.evaluation.one_evaluation import check_one_evaluation
from lalm_ambig.evaluation.predictions import Prediction, read_predictions
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.exporting.codabench_annotators import annotator_rows
from lalm_ambig.files.atomic import write_bytes
from lalm_ambig.files.places import check_folder
from lalm_ambig.metrics import shared_task

WHERE = "--codabench"
SHORT = {"mp": "mp", "csc": "csc", "par": "par", "varierr_nli": "ven"}
"""Part → beginning of its file's name; the sets of 2025."""
DIGITS = 10
"""Digits of a share in the file."""
ZIP_DATE = (2025, 1, 1, 0, 0, 0)
"""Date of the files in the zip, so that equal submissions are equal files."""
SCORES: Mapping[str, tuple[str, Callable[[Any, Any], float]]] = {
    "mp": ("Manhattan distance", shared_task.manhattan),
    "csc": ("Wasserstein distance", shared_task.wasserstein),
    "par": ("Wasserstein distance", shared_task.wasserstein),
    "varierr_nli": ("multilabel Manhattan distance", shared_task.multilabel_manhattan),
}
"""Part → name of its soft score, and the score. Those of 2023 have the cross-entropy."""


@dataclass(frozen=True)
class Submission:
    """The answers to the test items of one set, as they are submitted."""

    part: str
    rows: tuple[tuple[str, Any], ...]
    """Key and distribution of each item, or labels of its annotators, in the order of the test file."""
    score_name: str
    score: float
    """The organisers' score against the labels of the test file."""
    micro_f1: float | None = None
    """The organisers' hard score of 2023, in [0, 1]; None for the sets of 2025."""
    task: Literal["soft", "pe"] = "soft"
    """Distributions, or the labels of single annotators."""

    @property
    def file_name(self) -> str:
        """Name of its table in the zip."""
        return f"{SHORT[self.part]}_test_{self.task}.tsv"

    @property
    def table(self) -> str:
        """The table as text."""
        return "".join(f"{key}\t{json.dumps(dist)}\n" for key, dist in self.rows)


def check_submission(root: Path | None, out: Path | None) -> None:
    """Check, before anything is read, that the repository is named and the zip can be written.

    Raises:
        InputError: One of them is missing or wrong.
    """
    if root is None:
        remedy = "Give --root DIR, the organisers' repository."
        raise InputError("it needs the test files, for their keys and labels.", where=WHERE, remedy=remedy)
    if out is None:
        return
    if out.suffix != ".zip" or out.is_dir():
        raise InputError(f"must be a file that ends in .zip, got {out}", where="--out")
    if out.is_file() and not zipfile.is_zipfile(out):
        raise InputError(f"{out} is a file of something else.", where="--out", remedy="Name another.")
    check_folder(out.absolute().parent, where="--out")


def submission(folder: Path, root: Path) -> Submission:
    """Read predictions and score them against the test file of their set.

    Args:
        folder: With `metrics.json` and `predictions.jsonl`, as evaluate, baseline and fit write them.
        root: The organisers' repository.

    Raises:
        InputError: The predictions are not of the test items of a set of LeWiDi, or not of all of them; they were
            made by a policy that was trained on test items; or the two files are not of one evaluation.
    """
    results = read_results(folder / "metrics.json")
    about = results.about
    if about.corpus != Lewidi.name or about.split != "test":
        wrong = (
            f"predictions of {about.corpus}, {about.part_of_corpus}, where the test split of lewidi is needed"
        )
        raise InputError(wrong, where=str(folder))
    if about.trained_items is not None and about.trained_items.is_leaky:
        raise InputError(
            "the policy was trained on test items, so its predictions are no submission.", where=str(folder)
        )
    predictions = read_predictions(folder / "predictions.jsonl")
    check_one_evaluation(predictions, results, where=str(folder))
    part = about.part or predictions[0].id.partition("-")[0]
    corpus = Lewidi(root, part=part)
    entries = corpus.test_entries()
    if is_of_pairs(predictions):
        rows, (name, score) = annotator_rows(predictions, corpus, entries, folder=folder)
        return Submission(part, rows, name, score, task="pe")
    by_key = _by_key(predictions, corpus, folder)
    submitted = tuple((key, _submitted(dist, part)) for key, dist in by_key.items())
    targets = [_official(entry.soft_label, part) for entry in entries]
    name, soft_score = SCORES.get(part, ("cross-entropy", shared_task.cross_entropy))
    hard = [entry.hard_label for entry in entries if entry.hard_label is not None]
    scored = len(hard) == len(entries) and part not in SHORT
    micro_f1 = shared_task.micro_f1(hard, list(by_key.values())) if scored else None
    return Submission(part, submitted, name, soft_score(targets, [dist for _, dist in submitted]), micro_f1)


def write_submission(out: Path, sets: Sequence[Submission]) -> Path:
    """Write the zip, completely or not at all.

    Args:
        out: The zip; one that is there is replaced.
        sets: One per set of 2025 and task.

    Raises:
        InputError: A set is not of 2025, or two are of one set and task.
    """
    tables = [(one.part, one.task) for one in sets]
    for part, task in tables:
        if part not in SHORT:
            remedy = "Leave it out, or leave --out out to see its score."
            raise InputError(f"{part} is no set of 2025, which the task takes.", where=WHERE, remedy=remedy)
        if tables.count((part, task)) > 1:
            alone = " with answers for single annotators" if task == "pe" else ""
            raise InputError(f"two folders are of {part}{alone}.", where=WHERE, remedy="Give one a set.")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for one in sets:
            member = zipfile.ZipInfo(one.file_name, ZIP_DATE)
            archive.writestr(member, one.table, compress_type=zipfile.ZIP_DEFLATED)
    return write_bytes(out, content.getvalue())


def _by_key(predictions: Sequence[Prediction], corpus: Lewidi, folder: Path) -> dict[str, Sequence[float]]:
    """The predicted distribution of each item by its key, in the order of the test file."""
    by_id = {prediction.id: prediction.predicted_dist for prediction in predictions}
    found: dict[str, Sequence[float]] = {}
    for entry in corpus.test_entries():
        dist = by_id.pop(corpus.item_id("test", entry), None)
        if dist is None or len(dist) != len(corpus.categories):
            raise InputError(
                f"test item {entry.key} of {corpus.part} has no prediction over its {len(corpus.categories)} classes.",
                where=str(folder),
                remedy="Evaluate the whole test split, without --limit.",
            )
        found[entry.key] = dist
    if by_id:
        raise InputError(f"{next(iter(by_id))} is no test item of {corpus.part}.", where=str(folder))
    return found


def _submitted(dist: Sequence[float], part: str) -> Any:
    """A predicted distribution in the form of the task."""
    shares = [float(share) / sum(dist) for share in dist]
    if part == "varierr_nli":
        return [_rounded([1 - yes, yes]) for yes in yes_shares(shares)]
    return _rounded([0.0, *shares] if part == "csc" else shares)


def _official(soft_label: Sequence[float], part: str) -> Any:
    """A soft label of the test file in the same form."""
    if part == "varierr_nli":
        return [[1 - yes, yes] for yes in soft_label]
    return [0.0, *soft_label] if part == "csc" else list(soft_label)


def _rounded(shares: Sequence[float]) -> list[float]:
    return [round(share, DIGITS) for share in shares]
