"""Break-downs: the same metrics by ambiguity level, by number of active labels, and by majority class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, majority
from lalm_ambig.evaluation.intervals import Clusters, Interval, intervals, too_few
from lalm_ambig.metrics.base import Answers, DistributionMetric, formulas

ACTIVE_LABELS = ("1", "2", "3", "4+")
"""Number of classes that have a vote."""
NEVER_TRAINED = "never trained"
"""Note of a class that the corpus trained on does not have."""


@dataclass(frozen=True)
class Part:
    """The items of one row of a break-down."""

    items: int
    """Number of items."""
    metrics: dict[str, Interval]
    """The metrics of the corpus's tables; empty without items."""
    note: str | None = None
    """Why there are no intervals, and for a majority class whether it was never trained."""
    parse_rate: float | None = None
    """Share of responses that could be read; None where a readout cannot fail."""


@dataclass(frozen=True)
class ScoredItems:
    """Targets and predictions of items, what of them is independent, and which metrics break-downs show."""

    label_dist: Float[Tensor, "item category"]
    predicted_dist: Float[Tensor, "item category"]
    clusters: Clusters
    table_metrics: tuple[str, ...]
    """Names of the metrics of break-downs."""
    parsed: Bool[Tensor, " item"] | None = None
    """False where the response could not be read; None: all could."""
    draws: Float[Tensor, " item"] | None = None
    """Number of sampled labels that each prediction is the share of; None where predictions are no shares."""
    votes: Float[Tensor, " item"] | None = None
    """Number of votes of each item (see `vote_numbers`)."""
    asked: int | None = None
    """Number of labels that were sampled per item, of which `draws` could be read."""
    ordered: bool = False
    """Whether the classes have an order; the metrics that need one are then among all metrics."""

    def where(self, mask: Bool[Tensor, " item"]) -> "ScoredItems":
        """The items on which the mask is True, with their speakers."""
        groups = self.clusters.groups
        selected = None if groups is None else tuple(groups[i] for i in mask.nonzero()[:, 0].tolist())
        clusters = replace(self.clusters, groups=selected)
        return replace(
            self,
            label_dist=self.label_dist[mask],
            predicted_dist=self.predicted_dist[mask],
            clusters=clusters,
            parsed=None if self.parsed is None else self.parsed[mask],
            draws=None if self.draws is None else self.draws[mask],
            votes=None if self.votes is None else self.votes[mask],
        )

    def intervals(self, names: Sequence[str] | None = None) -> dict[str, Interval]:
        """Name → interval, of all metrics or of those named, in that order."""
        available = self.all_metrics() if names is None else formulas(self.label_dist.shape[-1])
        by_name = {metric.name: metric for metric in available}
        metrics = [by_name[name] for name in (by_name if names is None else names)]
        return intervals(metrics, self.label_dist, predicted_dist=self.answers, clusters=self.clusters)

    def all_metrics(self) -> list[DistributionMetric]:
        """Every metric that the items can have."""
        return formulas(self.label_dist.shape[-1], ordered=self.ordered)

    @property
    def answers(self) -> Answers:
        """The predictions, as metrics take them."""
        parsed = (
            torch.ones(len(self.predicted_dist), dtype=torch.bool) if self.parsed is None else self.parsed
        )
        return Answers(self.predicted_dist, parsed, self.draws, self.votes)

    @property
    def parse_rate(self) -> float | None:
        """Share of responses that could be read; None where a readout cannot fail, or without items."""
        if self.draws is not None and self.asked is not None and len(self.draws):
            return float(self.draws.double().mean() / self.asked)
        return None if self.parsed is None or not len(self.parsed) else float(self.parsed.double().mean())


def by_ambiguity(scored: ScoredItems, votes: Float[Tensor, "item category"]) -> dict[str, Part]:
    """Items of low, medium and high ambiguity (SHALA-LLM, App. C.2.1 and Table 8).

    The levels are normalised entropies of the votes in [0, 0.33), [0.33, 0.66) and [0.66, 1].
    """
    return _break_down(scored, ambiguity_level(votes / votes.sum(-1, keepdim=True)), names=AMBIGUITY_LEVELS)


def by_active_labels(scored: ScoredItems, votes: Float[Tensor, "item category"]) -> dict[str, Part]:
    """Items with votes on 1, 2, 3, and 4 or more classes."""
    return _break_down(scored, (votes > 0).sum(-1).clamp(max=len(ACTIVE_LABELS)) - 1, names=ACTIVE_LABELS)


def by_majority(
    scored: ScoredItems,
    votes: Float[Tensor, "item category"],
    *,
    names: Sequence[str],
    unseen: Sequence[str] = (),
) -> dict[str, Part]:
    """Items by the class with most votes; on a tie the first one, which is our decision.

    Args:
        scored: All items.
        votes: Their votes, one row per item.
        names: The classes, in the order of the votes.
        unseen: Classes that were never trained; their parts have a note that says so.
    """
    parts = _break_down(scored, majority(votes), names=names)
    return {name: _flagged(part) if name in unseen else part for name, part in parts.items()}


def _break_down(scored: ScoredItems, kind: Int[Tensor, " item"], *, names: Sequence[str]) -> dict[str, Part]:
    return {name: _part(scored.where(kind == position)) for position, name in enumerate(names)}


def _part(scored: ScoredItems) -> Part:
    items = len(scored.label_dist)
    if not items:
        return Part(0, {}, "no item")
    metrics = scored.intervals(scored.table_metrics)
    return Part(items, metrics, too_few(items, scored.clusters), scored.parse_rate)


def _flagged(part: Part) -> Part:
    return replace(part, note=NEVER_TRAINED if part.note is None else f"{NEVER_TRAINED}; {part.note}")
