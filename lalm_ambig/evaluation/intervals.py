r"""Intervals and p-values from the spread between speakers: a delete-one jackknife of all metrics at once.

One voice's clips are not independent, so the unit is the speaker; it is the item where no speaker is known. A metric is
a function of sums of rows over items (`metrics/base.py`). Leaving each unit out in turn gives the pseudo-values
$\theta_g = G\,\theta - (G - 1)\,\theta_{(-g)}$, whose standard deviation $s$ is how far units differ. The interval is

$$\theta \pm q\,\frac{s}{\sqrt G} \pm \frac{s}{\sqrt G}\,\frac{1 + 2 q^2}{6 \sqrt G}\,a\,(k^\pm + 0.3)$$

with $q$ the quantile of Student's t at $G_{\text{eff}} - 1$ degrees of freedom, $G_{\text{eff}}$ the number of units of
equal size that would weigh as much (Kish), and $k^\pm$ the skewness of the pseudo-values towards that side (Hall 1992,
Cornish and Fisher): a few outlying speakers make one side longer. Its estimate from few units is too small, hence 0.3,
and a = 2 for ratios of sums (1 for means).
`docs/intervals.md` has the coverage that a simulation finds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from scipy.special import stdtr, stdtrit
from torch import Tensor

from lalm_ambig.core.distributions import check_distribution
from lalm_ambig.metrics.base import Answers, DistributionMetric

LEVEL = 0.95
FEWEST_ITEMS = 10
FEWEST_SPEAKERS = 2
"""With fewer items or speakers there is no interval."""
FEWEST_FOR_RATIOS = 8
"""A ratio of sums, such as R² or F1, gets no interval with fewer speakers: it would not cover."""
NO_INTERVAL = "no interval: "
"""Beginning of the note that says so."""
LEAST_SKEW = 0.3
"""Skewness that is assumed beyond the estimate, towards both sides."""
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


@dataclass(frozen=True)
class Clusters:
    """What is independent of each other: speakers, or items where no speaker is known."""

    groups: tuple[str, ...] | None = None
    """The speaker of each item, in order; None for items."""

    @property
    def unit(self) -> str:
        """`speakers` or `items`."""
        return "items" if self.groups is None else "speakers"

    def indices(self, n_items: int) -> tuple[Int[Tensor, " item"], int]:
        """The unit of each item, and the number of units.

        Raises:
            ValueError: `groups` has another length.
        """
        if self.groups is None:
            return torch.arange(n_items), n_items
        if len(self.groups) != n_items:
            raise ValueError(f"{len(self.groups)} speakers for {n_items} items")
        order = {name: position for position, name in enumerate(dict.fromkeys(self.groups))}
        return torch.tensor([order[name] for name in self.groups]), len(order)


def too_few(n_items: int, clusters: Clusters) -> str | None:
    """Why these items get no interval of any metric, in words, or None if they do."""
    n_units = clusters.indices(n_items)[1]
    if clusters.groups is not None and n_units < FEWEST_SPEAKERS:
        return f"{NO_INTERVAL}{n_units} speaker"
    return f"{NO_INTERVAL}{n_items} items" if n_items < FEWEST_ITEMS else None


def can_mark(unit: str, n_units: int) -> bool:
    """Whether a table may call anything the best: not with two speakers, whose interval is little more than a guess."""
    return unit != "speakers" or n_units > FEWEST_SPEAKERS


def without_interval(metric: DistributionMetric, units: int) -> str | None:
    """Why a metric gets no interval from that many speakers or items, in words, or None if it does."""
    if metric.kind == "binned":
        return "its bins make it too large on few items, which an interval would not show"
    if metric.kind == "ratio" and units < FEWEST_FOR_RATIOS:
        return f"a ratio of sums takes at least {FEWEST_FOR_RATIOS} speakers, and there are {units}"
    return None


def intervals(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    *,
    predicted_dist: Float[Tensor, "item category"] | Answers,
    clusters: Clusters = Clusters(),
) -> dict[str, Interval]:
    """Each metric's value with its 95 % interval over speakers or items, within the metric's bounds.

    Args:
        metrics: What is computed.
        label_dist: The targets, one row per item.
        predicted_dist: The predictions in the same order; `Answers` say which responses could not be read.
        clusters: What is independent of each other.

    Returns:
        Name of the metric → value and interval.

    Raises:
        ValueError: A row is not a distribution, or there is another number of speakers than of items.
    """
    spreads = _spreads(metrics, [_rows(metrics, label_dist, predicted_dist)], clusters)
    return {
        metric.name: Interval(spread.value, *_within(spread.ends(), metric.bounds))
        for metric, spread in zip(metrics, spreads, strict=True)
    }


def paired(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    *,
    first: Float[Tensor, "item category"] | Answers,
    second: Float[Tensor, "item category"] | Answers,
    clusters: Clusters = Clusters(),
) -> dict[str, Difference]:
    """First minus second run of each metric, on the same items; a unit is left out of both at once.

    The runs are summed apart, in the same order, so that equal runs differ by exactly 0.

    Args:
        metrics: What is computed.
        label_dist: The targets, one row per item.
        first: Predictions of one run, in the same order.
        second: Predictions of the other.
        clusters: What is independent of each other.

    Returns:
        Name of the metric → difference with its interval, p and effect size.

    Raises:
        ValueError: A row is not a distribution, or there is another number of speakers than of items.
    """
    runs = [_rows(metrics, label_dist, answers) for answers in (first, second)]
    spreads = _spreads(metrics, runs, clusters)
    return {
        metric.name: Difference(spread.value, *spread.ends(), spread.p(), spread.effect())
        for metric, spread in zip(metrics, spreads, strict=True)
    }


@dataclass(frozen=True)
class Spread:
    """A value, and how it varies between units."""

    value: float
    deviation: float | None = None
    """Standard deviation of the pseudo-values; None where there is no interval."""
    skewness: float = 0.0
    """Of the pseudo-values."""
    units: int = 0
    freedom: float = 1.0
    """Degrees of freedom: the effective number of units minus 1, and at least 1."""
    stretch: float = 1.0
    """Factor of all skewness."""

    @property
    def error(self) -> float | None:
        """The standard error of the value."""
        return None if self.deviation is None else self.deviation / math.sqrt(self.units)

    def longer(self, side: int) -> float:
        """What lengthens the interval towards a side (1: up, −1: down), before the quantile; none for two units."""
        if self.units <= FEWEST_SPEAKERS:
            return 0.0
        return self.stretch * (max(side * self.skewness, 0) + LEAST_SKEW) / (6 * math.sqrt(self.units))

    def ends(self, level: float = LEVEL) -> tuple[float | None, float | None]:
        """Low and high end of the interval; None where there is none."""
        if self.error is None:
            return None, None
        q = float(stdtrit(self.freedom, (1 + level) / 2))
        below, above = (q + self.longer(side) * (1 + 2 * q * q) for side in (-1, 1))
        return self.value - self.error * below, self.value + self.error * above

    def p(self) -> float | None:
        """The smallest α, two-sided, for which the interval at level 1 − α leaves out 0; None without an interval.

        The end next to 0 is $|T| = q + c (1 + 2 q^2)$ standard errors away, which is solved for q.
        """
        if self.error is None:
            return None
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        t, c = abs(self.value) / self.error, self.longer(-1 if self.value > 0 else 1)
        if t <= c:
            return 1.0
        q = t if c == 0 else (math.sqrt(1 + 8 * c * (t - c)) - 1) / (4 * c)
        return float(2 * stdtr(self.freedom, -q))

    def effect(self) -> float | None:
        """The value over its deviation between units; None where there is none."""
        return self.value / self.deviation if self.deviation else None


def _spreads(
    metrics: Sequence[DistributionMetric], runs: Sequence[Float[Tensor, "item statistic"]], clusters: Clusters
) -> list[Spread]:
    """The spread of each metric of one run, or of first minus second of two."""
    items = len(runs[0])
    index, n_units = clusters.indices(items)
    totals = [_reduced(metrics, run.sum(0)) for run in runs]
    whole = totals[0] if len(runs) == 1 else [one - other for one, other in zip(*totals, strict=True)]
    if too_few(items, clusters):
        return [Spread(float(value)) for value in whole]
    sums = [torch.zeros(n_units, run.shape[-1], dtype=run.dtype).index_add(0, index, run) for run in runs]
    parts = [_reduced(metrics, per_unit.sum(0) - per_unit) for per_unit in sums]
    without = parts[0] if len(runs) == 1 else [one - other for one, other in zip(*parts, strict=True)]
    sizes = torch.bincount(index, minlength=n_units).double()
    freedom = max(1.0, float(sizes.sum() ** 2 / sizes.square().sum()) - 1)
    return [
        Spread(float(value))
        if without_interval(metric, n_units)
        else replace(_spread(value, left_out, freedom=freedom), stretch=STRETCH[metric.kind])
        for metric, value, left_out in zip(metrics, whole, without, strict=True)
    ]


def _spread(value: Float[Tensor, ""], without: Float[Tensor, " unit"], *, freedom: float) -> Spread:
    """The spread of a value.

    Args:
        value: Over all units.
        without: Without each of them.
        freedom: Degrees of freedom.
    """
    units = len(without)
    if not bool(without.isfinite().all()) or not bool(value.isfinite()):
        return Spread(float(value))
    pseudo = units * value - (units - 1) * without
    pseudo = pseudo - pseudo.mean()
    deviation = float((pseudo.square().sum() / (units - 1)).sqrt())
    scale = max(abs(float(value)), 1.0)
    if deviation <= 1e-12 * scale * units:  # rounding alone: units do not differ
        return Spread(float(value), 0.0, 0.0, units, freedom)
    skewness = 0.0
    if units > FEWEST_SPEAKERS:
        skewness = float(pseudo.pow(3).sum()) * units / ((units - 1) * (units - 2)) / deviation**3
    return Spread(float(value), deviation, skewness, units, freedom)


def _within(
    ends: tuple[float | None, float | None], bounds: tuple[float, float]
) -> tuple[float | None, float | None]:
    low, high = ends
    if low is None or high is None:
        return None, None
    return max(low, bounds[0]), min(high, bounds[1])


def _rows(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    answers: Float[Tensor, "item category"] | Answers,
) -> Float[Tensor, "item statistic"]:
    if isinstance(answers, Answers):
        predicted_dist, parsed, draws = answers.predicted_dist.double(), answers.parsed, answers.draws
    else:
        predicted_dist, parsed, draws = answers.double(), None, None
    label_dist = label_dist.double()
    check_distribution(label_dist, "target")
    check_distribution(predicted_dist, "predicted")
    return torch.cat([metric.rows(label_dist, predicted_dist, parsed, draws) for metric in metrics], dim=-1)


def _reduced(
    metrics: Sequence[DistributionMetric], sums: Float[Tensor, "*batch statistic"]
) -> list[Float[Tensor, "*batch"]]:
    widths = [len(metric.sums) for metric in metrics]
    parts = torch.split(sums, widths, dim=-1)
    return [metric.reduce(part) for metric, part in zip(metrics, parts, strict=True)]
