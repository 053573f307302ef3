"""Groups of items for figures, as break-downs have them, and the answers of a line on each group."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, bhattacharyya, js_distance
from lalm_ambig.evaluation.bootstrap import Resampling
from lalm_ambig.evaluation.breakdowns import ACTIVE_LABELS, ScoredItems
from lalm_ambig.evaluation.results import speakers
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.lines import Line

PER_ITEM: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"js_dist_bits": js_distance, "bc": bhattacharyya}
"""Metrics that have a value for each item: SHALA-LLM's box plots."""
MOST_LINES = 8
"""Lines that a figure can tell apart: as many as there are colours."""


def shown_lines(group: Group) -> Sequence[Line]:
    """The first eight policies of a corpus, or baselines where there is no policy."""
    policies = [line for line in group.lines if line.results.about.readout != "none"]
    return (policies or group.lines)[:MOST_LINES]


def not_shown(group: Group) -> str:
    """A sentence on the lines that a figure leaves out; empty where it leaves out none."""
    policies = [line for line in group.lines if line.results.about.readout != "none"]
    left = [line.label for line in (policies or group.lines)[MOST_LINES:]]
    return f" Not shown, for want of colours: {', '.join(left)}." if left else ""


def scored(line: Line) -> tuple[ScoredItems, Float[Tensor, "item category"]]:
    """The answers of a line over all its folds, and the votes."""
    predictions, results = line.predictions, line.results
    votes, label_dist, predicted_dist = (
        torch.tensor(rows, dtype=torch.float64)
        for rows in zip(*((p.votes, p.label_dist, p.predicted_dist) for p in predictions), strict=True)
    )
    parsed = torch.tensor([p.unparsed is None for p in predictions])
    resampling = Resampling(speakers(predictions), results.resamples, results.seed)
    unread = results.about.readout == "verbalised"
    metrics = results.about.table_metrics
    return ScoredItems(label_dist, predicted_dist, resampling, metrics, parsed if unread else None), votes


def per_item(answers: ScoredItems, metric: str) -> Float[Tensor, " item"]:
    """A metric of `PER_ITEM` for each item; an answer that could not be read counts as uniform."""
    return PER_ITEM[metric](answers.label_dist, answers.predicted_dist)


def by_entropy(votes: Float[Tensor, "item category"]) -> tuple[Int[Tensor, " item"], tuple[str, ...]]:
    """The ambiguity level of each item (SHALA-LLM, Table 8), and the levels' names."""
    return ambiguity_level(votes / votes.sum(-1, keepdim=True)), AMBIGUITY_LEVELS


def by_active_labels(votes: Float[Tensor, "item category"]) -> tuple[Int[Tensor, " item"], tuple[str, ...]]:
    """The number of classes with a vote of each item (SHALA-LLM, Tables 9 and 10), and its names."""
    names = ACTIVE_LABELS[: votes.shape[-1]]
    return (votes > 0).sum(-1).clamp(max=len(names)) - 1, names
