"""Whether predictions and results are of one evaluation, and the two files of a folder read together."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.comparison import answers_of
from lalm_ambig.evaluation.predictions import Prediction, read_predictions
from lalm_ambig.evaluation.results import Results, items_digest
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.metrics.base import formulas

CHECKED = ("brier_mean", "manhattan")
"""Metrics that are computed again. They change with every answer, by no more than all of its shares together do."""
EXACT = 1e-6
"""How far a metric may be off for answers with all their digits."""


def read_evaluation(folder: Path) -> tuple[list[Prediction], Results]:
    """Read `predictions.jsonl` and `metrics.json` of an evaluation.

    Raises:
        InputError: One is missing, broken, or not of the other's evaluation.
    """
    predictions = read_predictions(folder / "predictions.jsonl")
    results = read_results(folder / "metrics.json")
    check_one_evaluation(predictions, results, where=str(folder))
    return predictions, results


def check_one_evaluation(
    predictions: Sequence[Prediction], results: Results, *, where: str, rounding: float = 0
) -> None:
    """Refuse predictions of other items than the results, or other answers to them.

    Args:
        predictions: The answers.
        results: What was made from them.
        where: Place for the error.
        rounding: How far a share may be off.

    Raises:
        InputError: They are not of one evaluation.
    """
    remedy = "one of the two files was replaced; evaluate again."
    if items_digest(predictions) != results.items_digest:
        wrong = "predictions and metrics are of different items:"
        raise InputError(wrong, where=where, remedy=remedy)
    answers = answers_of(predictions)
    targets = torch.tensor([p.label_dist for p in predictions], dtype=torch.float64)
    for metric in formulas(len(results.categories)):
        known = results.metrics.get(metric.name) if metric.name in CHECKED else None
        if known is None or not math.isfinite(known.value):
            continue
        if metric.corrects_sampling and answers.draws is not None:  # older results have it uncorrected
            continue
        rows = metric.rows(targets, answers.predicted_dist, answers.parsed, answers.draws, answers.votes)
        value = float(metric.reduce(rows.sum(0)))
        if not abs(value - known.value) <= EXACT + rounding * len(results.categories):
            wrong = (
                f"predictions and metrics are of different answers: {metric.name} of the predictions is {value:.4f}, "
                f"and the metrics have {known.value:.4f};"
            )
            raise InputError(wrong, where=where, remedy=remedy)
