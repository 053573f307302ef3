"""Predictions of a policy on a split, on the trainer's devices, and their results on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lalm_ambig.core import distributed
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Portion
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.predictions import PREDICTIONS, Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.results import About, Reasoning, Results, evaluate_predictions
from lalm_ambig.evaluation.results_file import METRICS, write_results
from lalm_ambig.files.kinds import check_replaceable
from lalm_ambig.files.places import check_folder
from lalm_ambig.methods.base import Method
from lalm_ambig.runs.folder.run_folder import RunFolder


def predict(trainer: Any, model: Method, data: DataModule, split: Portion) -> list[Prediction]:
    """What the policy answers for every item of a split, in the corpus's order; every process answers for its share."""
    model.predictions.clear()
    trainer.predict(model, dataloaders=data.loader(split), return_predictions=False)
    return distributed.unshard(distributed.all_gather_object(list(model.predictions)))


def reasoning_of(model: Method) -> Reasoning:
    """What the answer is read after, as tables say it."""
    return "generated" if model.reasoning else "direct"


def check_place(out: Path) -> None:
    """InputError where results cannot be written to a folder, or would replace something else: before hours of work."""
    check_folder(out, where="--out")
    if RunFolder(out).recorded.is_file():
        raise InputError(
            f"{out} is a run's own folder, whose rows are under evaluation/.",
            where="--out",
            remedy=f"Name another, as {out / 'evaluation' / 'other'}.",
        )
    for folder in (out, *(out.glob("*/") if out.is_dir() else ())):
        check_replaceable(folder / "predictions.jsonl", PREDICTIONS, where="--out")
        check_replaceable(folder / "metrics.json", METRICS, where="--out")


def score_and_save(
    folder: Path, predictions: Sequence[Prediction], categories: CategorySet, *, about: About
) -> Results:
    """Score predictions and write both into a folder."""
    results = evaluate_predictions(predictions, categories, about=about)
    write_predictions(folder / "predictions.jsonl", predictions)
    write_results(folder / "metrics.json", results)
    return results


def save_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write predictions that a later start of the same run need not make again."""
    write_predictions(folder / "predictions.jsonl", predictions)


def load_predictions(folder: Path) -> list[Prediction] | None:
    """Predictions that an earlier start of the same run has written."""
    file = folder / "predictions.jsonl"
    return read_predictions(file) if file.is_file() else None
