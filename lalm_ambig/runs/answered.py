"""The answers of a finished run, as commands name them: FOLDER or FOLDER:ROW."""

from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.one_evaluation import read_evaluation
from lalm_ambig.evaluation.pairing import ComparedRun
from lalm_ambig.runs.older_results import with_overlap
from lalm_ambig.runs.past import with_past

TRAINED = "trained"
"""The row of a run folder that is meant where none is named."""


def answers_folder(name: str, *, where: str) -> Path:
    """Return the folder of predictions that FOLDER or FOLDER:ROW means.

    Args:
        name: As it was given.
        where: Place for the error.

    Raises:
        InputError: There are no predictions; the message names the rows that have some.
    """
    path, row = Path(name).expanduser(), None
    if not path.exists() and ":" in name:
        folder, _, row = name.rpartition(":")
        path = Path(folder).expanduser()
    if row is None and (path / "predictions.jsonl").is_file():
        return path
    for found in (path / "evaluation" / (row or TRAINED), path / (row or TRAINED)):
        if (found / "predictions.jsonl").is_file():
            return found
    rows = sorted({f.parent.name for f in path.glob("*/predictions.jsonl")}) or sorted(
        {
            f.parent.relative_to(path / "evaluation").as_posix()
            for f in path.glob("evaluation/**/predictions.jsonl")
        }
    )
    known = f"It has the rows {', '.join(rows)}: name one as {path}:ROW." if rows else ""
    raise InputError(
        f"{path} has no predictions.jsonl" + (f" of row {row!r}." if row else "."),
        where=where,
        remedy=known or "Give a finished run folder of fit, or a folder that evaluate or baseline wrote.",
    )


def read_answers(name: str, folder: Path, *, allow: bool) -> ComparedRun:
    """Return the predictions and results of a folder.

    Args:
        name: What tables call it.
        folder: As `answers_folder` finds it.
        allow: Mark items that the policy was trained on, instead of refusing them.

    Raises:
        InputError: Its two files are not of one evaluation, or the policy was trained on items and nothing allows it.
    """
    predictions, results = read_evaluation(folder)
    checked = with_overlap(results, folder, allow=allow)
    return ComparedRun(name, with_past(checked, folder), predictions)
