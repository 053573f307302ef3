"""What a user must be told of a run that has come to little, one line each."""

from collections.abc import Sequence

import torch

from lalm_ambig.core.distributions import deviation_between_items
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics.base import all_metrics
from lalm_ambig.runs.checkpoints.selection import Selection

HARDLY = 0.4
"""Share of people's deviation between items below which answers are said to hardly differ: a well calibrated policy
that explains an eighth of what people differ by is just above it."""


def selection_notices(selection: Selection) -> list[str]:
    """Whether training made anything better on validation items: than the start, than the prior, than one answer."""
    label = next(metric.label for metric in all_metrics(2) if metric.name == selection.metric).rstrip(" ↓↑")
    chosen = selection.chosen.metrics[selection.metric]
    prior = selection.prior[selection.metric]
    found = []
    if selection.chosen.step == 0 and selection.validations > 1:
        found.append(
            f"no epoch beat the start on validation ({label} {chosen:.3f} before training): the run's weights are "
            "those that it started from"
        )
    if not chosen < prior:
        found.append(
            f"the chosen checkpoint does not beat the prior on validation ({label} {chosen:.3f}, prior {prior:.3f})"
        )
    metrics = selection.chosen.metrics
    return found + _spread("validation", metrics.get("predicted_sd"), metrics.get("label_sd"))


def answers_notices(split: str, predictions: Sequence[Prediction]) -> list[str]:
    """Whether answers hardly differ between items."""
    rows = ([p.predicted_dist for p in predictions], [p.label_dist for p in predictions])
    predicted, people = (
        float(deviation_between_items(torch.tensor(row, dtype=torch.float64))) for row in rows
    )
    return _spread(split, predicted, people)


def _spread(where: str, predicted: float | None, people: float | None) -> list[str]:
    if predicted is None or people is None or not predicted < HARDLY * people:
        return []
    return [f"{where}: answers hardly differ between items (sd {predicted:.2f}, people's {people:.2f})"]
