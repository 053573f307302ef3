"""Groups of items for figures, and the predictions of a line. The groups are those of the break-downs."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, bhattacharyya, js_distance
from lalm_ambig.evaluation.breakdowns import ACTIVE_LABELS, ScoredItems
from lalm_ambig.evaluation.intervals import Clusters
from lalm_ambig.evaluation.results import clusters_of, scored_items
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.lines import Line

PER_ITEM: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"js_dist_bits": js_distance, "bc": bhattacharyya}
"""Metrics that have a value per item, as in the box plots of SHALA-LLM."""
MOST_LINES = 8
"""Lines per figure: the number of colours."""


def shown_lines(group: Group) -> Sequence[Line]:
    """Return the first eight policies of a corpus, or its first eight baselines if it has no policy."""
    policies = [line for line in group.lines if line.results.about.readout != "none"]
    return (policies or group.lines)[:MOST_LINES]


def not_shown(group: Group) -> str:
    """Return a sentence that names the lines for which there is no colour; empty without any."""
    policies = [line for line in group.lines if line.results.about.readout != "none"]
    left = [line.label for line in (policies or group.lines)[MOST_LINES:]]
    return f" Not shown, for want of colours: {', '.join(left)}." if left else ""


def scored(line: Line) -> tuple[ScoredItems, Float[Tensor, "item category"]]:
    """Return the predictions of a line over all its folds and seeds, ready for metrics, and the votes of each item."""
    predictions, results = line.predictions, line.results
    clusters = clusters_of(predictions, results.about.corpus)
    if clusters.groups is None and len(line.seeds) > 1:  # an item stands once for each seed
        clusters = Clusters(tuple(p.id for p in predictions), "items")
    votes = torch.tensor([p.votes for p in predictions], dtype=torch.float64)
    return scored_items(predictions, results.about, clusters), votes


def per_item(answers: ScoredItems, metric: str) -> Float[Tensor, " item"]:
    """Compute a metric of `PER_ITEM` for each item. A response that could not be read counts as uniform."""
    return PER_ITEM[metric](answers.label_dist, answers.predicted_dist)


def by_entropy(votes: Float[Tensor, "item category"]) -> tuple[Int[Tensor, " item"], tuple[str, ...]]:
    """Return the ambiguity level of each item (SHALA-LLM, Table 8), and the names of the levels."""
    return ambiguity_level(votes / votes.sum(-1, keepdim=True)), AMBIGUITY_LEVELS


def by_active_labels(votes: Float[Tensor, "item category"]) -> tuple[Int[Tensor, " item"], tuple[str, ...]]:
    """Return each item's level by its number of classes with a vote (SHALA-LLM, Tables 9 and 10), and the names."""
    names = ACTIVE_LABELS[: votes.shape[-1]]
    return (votes > 0).sum(-1).clamp(max=len(names)) - 1, names
