"""Notices on a run whose training changed little, one line each."""

from collections.abc import Sequence

import torch

from lalm_ambig.core.distributions import deviation_between_items
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics.base import formulas
from lalm_ambig.runs.checkpoints.selection import Selection, early_stop_line

HARDLY = 0.4
"""Answers hardly differ if their deviation between items is below this share of people's.

A well calibrated policy that explains an eighth of people's variance is just above it. The limit is ours."""


def selection_notices(selection: Selection) -> list[str]:
    """Return notices of training that ended early, and of a choice that did not beat the start or the prior."""
    label = next(metric.label for metric in formulas(2) if metric.name == selection.metric).rstrip(" ↓↑")
    chosen = selection.chosen.metrics[selection.metric]
    prior = selection.prior[selection.metric]
    notices = []
    if selection.stopped_at is not None:
        line = early_stop_line(selection.stopped_at, waited=selection.waited, monitor=selection.monitor)
        notices.append(f"training {line}")
    if selection.chosen.step == 0 and selection.validations > 1:
        notices.append(
            f"no epoch beat the start on validation ({label} {chosen:.3f} before training): the run's weights are "
            "those that it started from"
        )
    if not chosen < prior:
        notices.append(
            f"the chosen checkpoint does not beat the prior on validation ({label} {chosen:.3f}, prior {prior:.3f})"
        )
    return notices


def answers_notices(split: str, predictions: Sequence[Prediction]) -> list[str]:
    """Return a notice if answers hardly differ between items."""
    rows = ([p.predicted_dist for p in predictions], [p.label_dist for p in predictions])
    predicted, people = (
        float(deviation_between_items(torch.tensor(row, dtype=torch.float64))) for row in rows
    )
    if not predicted < HARDLY * people:
        return []
    return [f"{split}: answers hardly differ between items (sd {predicted:.2f}, people's {people:.2f})"]
