"""Percentile bootstrap of all metrics at once, by speaker where speakers are known.

A metric is a function of sums of rows over items (`metrics/base.py`). A resample is therefore a vector of counts, and R
resamples of every metric are one matrix product: counts [R, unit] @ sums per unit [unit, statistic]. The unit is the
speaker, since one voice's clips are not independent (a cluster bootstrap); it is the item where no speaker is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.distributions import check_distribution
from lalm_ambig.core.errors import InputError
from lalm_ambig.metrics.base import Answers, DistributionMetric

LEVEL = 0.95
FEWEST_ITEMS = 10
FEWEST_SPEAKERS = 2
"""With fewer items or speakers there is no interval."""
NO_INTERVAL = "no interval: "
"""Beginning of the note that says so."""
COUNTS_AT_ONCE = 5_000_000
"""Resampling counts held in memory at a time (40 MB), whatever the number of items."""


@dataclass(frozen=True)
class Interval:
    """A metric's value with its 95 % bootstrap interval."""

    value: float
    """NaN where undefined, inf where infinite."""
    low: float | None
    high: float | None
    """None where there are too few items or speakers, or where a resample is undefined or infinite."""


@dataclass(frozen=True)
class Difference:
    """First minus second run of a metric, on the same items."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    """Two-sided bootstrap p: twice the share of resamples on the other side of 0 (ties on both), at least
    2/(resamples + 1)."""


@dataclass(frozen=True)
class Resampling:
    """Settings of a bootstrap: the unit that is drawn, the number of resamples, and the seed.

    Raises:
        InputError: `resamples` is below 1.
    """

    groups: tuple[str, ...] | None = None
    """The speaker of each item, in order; None resamples items."""
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise InputError(f"bootstrap: resamples must be at least 1, got {self.resamples}")

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
            raise ValueError(f"bootstrap: {len(self.groups)} speakers for {n_items} items")
        order = {name: position for position, name in enumerate(dict.fromkeys(self.groups))}
        return torch.tensor([order[name] for name in self.groups]), len(order)

    def counts(self, n_units: int) -> Iterator[Float[Tensor, "some unit"]]:
        """How often each unit is in each resample, a block of resamples at a time."""
        generator = np.random.default_rng(self.seed)
        block = max(1, COUNTS_AT_ONCE // n_units)
        for start in range(0, self.resamples, block):
            drawn = generator.multinomial(
                n_units, np.full(n_units, 1 / n_units), size=min(block, self.resamples - start)
            )
            yield torch.from_numpy(drawn).double()


def too_few(n_items: int, resampling: Resampling) -> str | None:
    """Why these items get no interval, in words, or None if they do."""
    n_units = resampling.indices(n_items)[1]
    if resampling.groups is not None and n_units < FEWEST_SPEAKERS:
        return f"{NO_INTERVAL}{n_units} speaker"
    return f"{NO_INTERVAL}{n_items} items" if n_items < FEWEST_ITEMS else None


def intervals(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    *,
    predicted_dist: Float[Tensor, "item category"] | Answers,
    resampling: Resampling = Resampling(),
) -> dict[str, Interval]:
    """Each metric's value with its 95 % percentile interval over resamples of speakers or items.

    Args:
        metrics: What is computed.
        label_dist: The targets, one row per item.
        predicted_dist: The predictions in the same order; `Answers` say which responses could not be read.
        resampling: What is drawn, how often, from which seed.

    Returns:
        Name of the metric → value and interval.

    Raises:
        ValueError: A row is not a distribution, or there is another number of speakers than of items.
    """
    rows = _rows(metrics, label_dist, predicted_dist)
    values = _reduced(metrics, rows.sum(0))
    if too_few(len(rows), resampling):
        return {name: Interval(float(value), None, None) for name, value in values.items()}
    [sums] = _resampled([rows], resampling)
    resampled = _reduced(metrics, sums)
    return {name: Interval(float(value), *_percentiles(resampled[name])) for name, value in values.items()}


def paired(
    metrics: Sequence[DistributionMetric],
    label_dist: Float[Tensor, "item category"],
    *,
    first: Float[Tensor, "item category"] | Answers,
    second: Float[Tensor, "item category"] | Answers,
    resampling: Resampling = Resampling(),
) -> dict[str, Difference]:
    """First minus second run of each metric, on the same items; each resample is drawn once for both.

    The runs are summed apart, in the same order, so that equal runs differ by exactly 0.

    Args:
        metrics: What is computed.
        label_dist: The targets, one row per item.
        first: Predictions of one run, in the same order.
        second: Predictions of the other.
        resampling: What is drawn, how often, from which seed.

    Returns:
        Name of the metric → difference with its interval and p.

    Raises:
        ValueError: A row is not a distribution, or there is another number of speakers than of items.
    """
    rows = [_rows(metrics, label_dist, answers) for answers in (first, second)]
    one, other = (_reduced(metrics, run.sum(0)) for run in rows)
    values = {name: float(one[name] - other[name]) for name in one}
    if too_few(len(rows[0]), resampling):
        return {name: Difference(value, None, None, None) for name, value in values.items()}
    ones, others = (_reduced(metrics, sums) for sums in _resampled(rows, resampling))
    differences = {name: ones[name] - others[name] for name in ones}
    return {
        name: Difference(value, *_percentiles(differences[name]), _two_sided_p(differences[name]))
        for name, value in values.items()
    }


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
) -> dict[str, Float[Tensor, "*batch"]]:
    widths = [len(metric.sums) for metric in metrics]
    parts = torch.split(sums, widths, dim=-1)
    return {metric.name: metric.reduce(part) for metric, part in zip(metrics, parts, strict=True)}


def _resampled(
    runs: Sequence[Float[Tensor, "item statistic"]], resampling: Resampling
) -> list[Float[Tensor, "resample statistic"]]:
    """The sums of each run's rows over each resample; the runs share the resamples."""
    index, n_units = resampling.indices(len(runs[0]))
    per_unit = [
        torch.zeros(n_units, rows.shape[-1], dtype=rows.dtype).index_add(0, index, rows) for rows in runs
    ]
    blocks = [[counts @ sums for sums in per_unit] for counts in resampling.counts(n_units)]
    return [torch.cat(sums) for sums in zip(*blocks, strict=True)]


def _percentiles(values: Float[Tensor, " resample"]) -> tuple[float | None, float | None]:
    if not bool(values.isfinite().all()):
        return None, None
    tail = (1 - LEVEL) / 2
    low, high = torch.quantile(values, torch.tensor([tail, 1 - tail], dtype=values.dtype)).tolist()
    return low, high


def _two_sided_p(differences: Float[Tensor, " resample"]) -> float | None:
    if not bool(differences.isfinite().all()):
        return None
    fewer = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(differences) + 1))
