r"""Intervals and p-values from the spread between speakers: a delete-one jackknife of all metrics at once.

One voice's clips are not independent, so the unit is the speaker, or what a corpus names in its place (IEMOCAP: the
session); it is the item where no speaker is known. A metric is a function of sums of rows over items
(`metrics/base.py`). Leaving each of G units out in turn gives the pseudo-values
$\theta_g = G\,\theta - (G - 1)\,\theta_{(-g)}$, whose standard deviation is how far units differ. `spread.py` makes
an interval of it. Units of other sizes count as $G_{\text{eff}}$ units of equal size (Kish).

Of several seeds, the value is the mean over seeds, a unit is left out of all of them at once, and the interval allows
for other seeds as well. `docs/concepts/intervals.md` has the coverage that a simulation finds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.distributions import check_distribution
from lalm_ambig.evaluation.spread import FEWEST_GROUPS, Spread, spread_of
from lalm_ambig.metrics.base import Answers, DistributionMetric

FEWEST_ITEMS = 10
"""With fewer items there is no interval."""
FEWEST_FOR_RATIOS = 8
"""A ratio of sums, such as R² or F1, gets no interval with fewer speakers: it would not cover."""
ITEMS = "items"
"""Unit of data in which no speaker is known."""
NO_INTERVAL = "no interval: "
"""Beginning of the note that says so."""
STRETCH = {"mean": 1.0, "ratio": 2.0}
"""Kind of metric → factor of all skewness."""

Origin = Literal["jackknife", "bootstrap"]
"""How intervals were made: by the jackknife, in older files by a percentile bootstrap."""


@dataclass(frozen=True)
class Interval:
    """A metric's value with its 95 % interval."""

    value: float
    """NaN where undefined, inf where infinite."""
    low: float | None
    """Lower end; None where `high` is."""
    high: float | None
    """None where there are too few items or speakers, or where the metric is undefined or infinite without one."""


@dataclass(frozen=True)
class Difference:
    """First minus second run of a metric, on the same items."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    """Two-sided: the smallest α for which the interval at level 1 − α leaves out 0."""
    effect: float | None = None
    """The difference over its standard deviation between speakers, or items; None without p or deviation."""
    share_of_seeds: float | None = None
    """What of the variance of the difference is from seeds; None with one seed or without an interval."""


@dataclass(frozen=True)
class Clusters:
    """What is independent of each other: speakers or larger groups, or items where no speaker is known."""

    groups: tuple[str, ...] | None = None
    """The speaker of each item, in order; None for items."""
    name: str = "speakers"
    """What the groups are, in the plural."""

    @property
    def unit(self) -> str:
        """`items`, or the name of the groups."""
        return ITEMS if self.groups is None else self.name

    def indices(self, n_items: int) -> tuple[Int[Tensor, " item"], int]:
        """The unit of each item, and the number of units.

        Raises:
            ValueError: `groups` has another length.
        """
        if self.groups is None:
            return torch.arange(n_items), n_items
        if len(self.groups) != n_items:
            raise ValueError(f"{len(self.groups)} {self.name} for {n_items} items")
        order = {name: position for position, name in enumerate(dict.fromkeys(self.groups))}
        return torch.tensor([order[name] for name in self.groups]), len(order)


def too_few(n_items: int, clusters: Clusters) -> str | None:
    """Why these items get no interval of any metric, in words, or None if they do."""
    n_units = clusters.indices(n_items)[1]
    if clusters.groups is not None and n_units < FEWEST_GROUPS:
        return f"{NO_INTERVAL}{n_units} {clusters.unit.removesuffix('s')}"
    counted = n_units if clusters.unit == ITEMS else n_items
    return f"{NO_INTERVAL}{counted} items" if counted < FEWEST_ITEMS else None


def can_mark(unit: str, n_units: int) -> bool:
    """Whether a table may call anything the best: not with two speakers, whose interval is little more than a guess."""
    return unit == ITEMS or n_units > FEWEST_GROUPS


def without_interval(metric: DistributionMetric, units: int, unit: str = "speakers") -> str | None:
    """Why a metric gets no interval from that many units, in words, or None if it does."""
    if metric.kind == "binned":
        return "its bins make it too large on few items, which an interval would not show"
    if metric.kind == "ratio" and units < FEWEST_FOR_RATIOS:
        return f"a ratio of sums takes at least {FEWEST_FOR_RATIOS} {unit}, and there are {units}"
    return None


Predicted = Float[Tensor, "item category"] | Answers
"""Predictions in the order of the items; `Answers` say which responses could not be read."""


def intervals(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    *,
    predicted_dist: Predicted | Sequence[Predicted],
    clusters: Clusters = Clusters(),
) -> dict[str, Interval]:
    """Each metric's value with its 95 % interval over speakers or items, within the metric's bounds.

    Args:
        metrics: What is computed.
        label_dist: The targets, one row per item.
        predicted_dist: The predictions; several are of seeds, and the value is the mean of theirs.
        clusters: What is independent of each other.

    Returns:
        Name of the metric → value and interval.

    Raises:
        ValueError: A row is not a distribution, or there is another number of speakers than of items.
    """
    found = spreads(metrics, label_dist, predicted_dist=predicted_dist, clusters=clusters)
    return {name: Interval(spread.value, *spread.ends()) for name, spread in found.items()}


def spreads(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    *,
    predicted_dist: Predicted | Sequence[Predicted],
    clusters: Clusters = Clusters(),
) -> dict[str, Spread]:
    """As `intervals`, but with what the interval is made of."""
    rows = [_rows(metrics, label_dist, answers) for answers in _seeds(predicted_dist)]
    found = _spreads(metrics, [rows], clusters)
    return {metric.name: replace(found[metric.name], bounds=metric.bounds) for metric in metrics}


def mean_spread(
    values: Float[Tensor, " item"],
    clusters: Clusters = Clusters(),
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Spread:
    """The mean of one number per item, and how it varies between speakers or items.

    Args:
        values: At least one.
        clusters: What is independent of each other.
        bounds: Least and largest mean that there can be.

    Returns:
        The spread, from which interval and standard error come; without them where there are too few units.
    """
    values = values.double()
    if too_few(len(values), clusters):
        return Spread(float(values.mean()), bounds=bounds)
    index, n_units = clusters.indices(len(values))
    sizes = torch.bincount(index, minlength=n_units).double()
    sums = torch.zeros(n_units, dtype=torch.float64).index_add(0, index, values)
    without = (values.sum() - sums) / (len(values) - sizes)
    found = spread_of(values.mean()[None], without[None], freedom=_freedom(sizes), stretch=STRETCH["mean"])
    return replace(found, bounds=bounds)


def paired(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    *,
    first: Predicted | Sequence[Predicted],
    second: Predicted | Sequence[Predicted],
    clusters: Clusters = Clusters(),
) -> dict[str, Difference]:
    """First minus second run of each metric, on the same items; a unit is left out of both at once.

    The runs are summed apart, in the same order, so that equal runs differ by exactly 0.

    Args:
        metrics: What is computed.
        label_dist: The targets, one row per item.
        first: Predictions of one run, in the same order; several are of seeds, each paired with the one of `second`.
        second: Predictions of the other. One, such as a baseline's, is paired with all seeds of the first.
        clusters: What is independent of each other.

    Returns:
        Name of the metric → difference with its interval, p and effect size.

    Raises:
        ValueError: A row is not a distribution, or there is another number of speakers than of items, or of seeds.
    """
    runs = [[_rows(metrics, label_dist, answers) for answers in _seeds(side)] for side in (first, second)]
    found = _spreads(metrics, runs, clusters)
    return {
        name: Difference(spread.value, *spread.ends(), spread.p(), spread.effect(), spread.share_of_seeds)
        for name, spread in found.items()
    }


def _seeds(predicted: Predicted | Sequence[Predicted]) -> Sequence[Predicted]:
    return [predicted] if isinstance(predicted, Tensor | Answers) else predicted


def _spreads(
    metrics: Sequence[DistributionMetric],
    runs: Sequence[Sequence[Float[Tensor, "item statistic"]]],
    clusters: Clusters,
) -> dict[str, Spread]:
    """The spread of each metric of one run, or of first minus second of two; a run has rows for each seed."""
    items, seeds = len(runs[0][0]), max(map(len, runs))
    if any(len(run) not in (1, seeds) for run in runs):
        raise ValueError(f"{' and '.join(str(len(run)) for run in runs)} seeds cannot be paired")
    index, n_units = clusters.indices(items)
    whole = _difference(metrics, runs, lambda rows: rows.sum(0))
    if too_few(items, clusters):
        return {m.name: Spread(float(v.mean())) for m, v in zip(metrics, whole, strict=True)}

    def without_each(rows: Float[Tensor, "item statistic"]) -> Float[Tensor, "unit statistic"]:
        sums = torch.zeros(n_units, rows.shape[-1], dtype=rows.dtype).index_add(0, index, rows)
        return sums.sum(0) - sums

    without = _difference(metrics, runs, without_each)
    sizes = torch.bincount(index, minlength=n_units).double()
    freedom = _freedom(sizes)
    return {
        metric.name: Spread(float(values.mean()))
        if without_interval(metric, n_units)
        else spread_of(values, left_out, freedom=freedom, stretch=STRETCH[metric.kind])
        for metric, values, left_out in zip(metrics, whole, without, strict=True)
    }


def _freedom(sizes: Float[Tensor, " unit"]) -> float:
    """The effective number of units minus 1, and at least 1."""
    return max(1.0, float(sizes.sum() ** 2 / sizes.square().sum()) - 1)


def _difference(
    metrics: Sequence[DistributionMetric],
    runs: Sequence[Sequence[Float[Tensor, "item statistic"]]],
    summed: Callable[[Float[Tensor, "item statistic"]], Float[Tensor, "*unit statistic"]],
) -> list[Tensor]:
    """Each metric of one run, or first minus second of two; the first axis are seeds."""
    sides = [
        [torch.stack(of_seeds) for of_seeds in zip(*(_reduced(metrics, summed(r)) for r in run), strict=True)]
        for run in runs
    ]
    return sides[0] if len(sides) == 1 else [one - other for one, other in zip(*sides, strict=True)]


def _rows(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    answers: Float[Tensor, "item category"] | Answers,
) -> Float[Tensor, "item statistic"]:
    if isinstance(answers, Answers):
        predicted_dist, parsed = answers.predicted_dist.double(), answers.parsed
        draws, votes = answers.draws, answers.votes
    else:
        predicted_dist, parsed, draws, votes = answers.double(), None, None, None
    label_dist = label_dist.double()
    check_distribution(label_dist, "target")
    check_distribution(predicted_dist, "predicted")
    rows = [metric.rows(label_dist, predicted_dist, parsed, draws, votes) for metric in metrics]
    return torch.cat(rows, dim=-1)


def _reduced(
    metrics: Sequence[DistributionMetric], sums: Float[Tensor, "*batch statistic"]
) -> list[Float[Tensor, "*batch"]]:
    widths = [len(metric.sums) for metric in metrics]
    parts = torch.split(sums, widths, dim=-1)
    return [metric.reduce(part) for metric, part in zip(metrics, parts, strict=True)]
