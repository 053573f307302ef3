"""Predictions of a policy on a split, on the trainer's devices, and their results on disk."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lalm_ambig.baselines.base import BaselineInputs, BaselineResult
from lalm_ambig.core import distributed
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Portion
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.annotator_scores import TOGETHER, of_items
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import PREDICTIONS, Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.results import About, Reasoning, Results, evaluate_predictions
from lalm_ambig.evaluation.results_file import METRICS, write_results
from lalm_ambig.files.kinds import check_replaceable
from lalm_ambig.files.places import check_folder
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.readers import Reader
from lalm_ambig.runs.folder.run_folder import RunFolder


def predict(
    trainer: Any, model: Method, data: DataModule, split: Portion, *, reader: Reader | None = None
) -> list[Prediction]:
    """Return the policy's answer for every item of a split, in the corpus's order. Each process answers its share.

    Args:
        trainer: Lightning's trainer, which predicts.
        model: The method around the policy.
        data: Data with loaders.
        split: The split.
        reader: How answers are read; None is the reader that the method is evaluated by.
    """
    model.predictions.clear()
    model.predicting = reader
    trainer.predict(model, dataloaders=data.loader(split), return_predictions=False)
    return distributed.unshard(distributed.all_gather_object(list(model.predictions)))


def reasoning_of(model: Method) -> Reasoning:
    """How answers are read, as tables name it."""
    return "generated" if model.reasoning else "direct"


def check_place(out: Path) -> None:
    """Check that results can be written to a folder, before hours of work.

    Raises:
        InputError: They cannot, or they would replace something else.
    """
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
    """Score predictions and write both into a folder.

    Answers for single annotators are also written as one answer per item, into the folder `together` inside it.

    Args:
        folder: Of `metrics.json` and `predictions.jsonl`.
        predictions: Of one split.
        categories: The classes.
        about: The facts that tables state.
    """
    results = evaluate_predictions(predictions, categories, about=about)
    write_predictions(folder / "predictions.jsonl", predictions)
    write_results(folder / "metrics.json", results)
    if results.annotators is not None and results.annotators.together:
        merged = replace(about, policy=f"{about.policy}, mean over annotators")
        score_and_save(folder / TOGETHER, of_items(predictions), categories, about=merged)
    return results


def baseline_inputs(data: DataModule, split: Portion, *, seed: int = 0) -> BaselineInputs:
    """Return what a baseline may learn from, without the features of a policy.

    Args:
        data: Data that is read.
        split: The split that is answered.
        seed: Seed of what the baseline draws.
    """
    train, validation = data.items("train"), data.items("validation")
    return BaselineInputs(data.items(split), train, validation, data.prepared.items().votes(), seed)


def save_baseline(
    folder: Path,
    result: BaselineResult,
    data: DataModule,
    *,
    split: Portion,
    overlap: Overlap | None = None,
) -> Results:
    """Score a baseline's answers and write both into a folder, with its notes.

    Args:
        folder: Of `metrics.json` and `predictions.jsonl`.
        result: The answers.
        data: The data that they are of.
        split: The split that they are of.
        overlap: The items of the split that the baseline has learnt from.
    """
    corpus = data.corpus
    about = About(
        corpus.name,
        split,
        "none",
        "none",
        result.meaning,
        table_metrics=corpus.table_metrics,
        trained_items=overlap,
        part=corpus.part_or_target,
    )
    results = score_and_save(folder, result.predictions, data.categories, about=about)
    results = replace(results, notes=(*result.notes, *results.notes))
    write_results(folder / "metrics.json", results)
    return results


def save_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write predictions, so that a later start of the same run need not make them again."""
    write_predictions(folder / "predictions.jsonl", predictions)


def load_predictions(folder: Path) -> list[Prediction] | None:
    """Return the predictions that an earlier start of the same run has written, if any."""
    file = folder / "predictions.jsonl"
    return read_predictions(file) if file.is_file() else None
