r"""The interval and the p of one value, from how far its units (speakers, items) and its seeds differ.

With pseudo-values of standard deviation $s$ over G units, and values of standard deviation $d$ over S seeds, it is

$$\theta \pm \sqrt{q^2 \frac{s^2}{G} + r^2 \frac{d^2}{S}}
\pm \frac{s}{\sqrt G}\,\frac{1 + 2 q^2}{6 \sqrt G}\,a\,(k^\pm + 0.3)$$

with the quantiles $q$ and $r$ of Student's t for units ($G_{\text{eff}} - 1$ degrees of freedom) and for seeds (S − 1):
two intervals are joined, each of which holds on its own (MOVER; Zou and Donner 2008). With one seed, $d$ is 0. $k^\pm$
is the skewness of the pseudo-values towards that side (Hall 1992, Cornish and Fisher): a few outlying speakers make
one side longer. Its estimate from few units is too small, hence 0.3, and a = 2 for ratios of sums (1 for means).
"""

import math
from dataclasses import dataclass

from jaxtyping import Float
from scipy.optimize import bisect
from scipy.special import stdtrit
from torch import Tensor

LEVEL = 0.95
FEWEST_GROUPS = 2
"""With fewer speakers there is no interval; with as many, none that says much."""
LEAST_LOG_P = -30.0
"""The natural logarithm of the smallest p that is told from 0."""
LEAST_SKEW = 0.3
"""Skewness that is assumed beyond the estimate, towards both sides."""


@dataclass(frozen=True)
class Spread:
    """A value, and how it varies between units and between seeds."""

    value: float
    """The mean over seeds."""
    deviation: float | None = None
    """Standard deviation of the pseudo-values; None where there is no interval."""
    skewness: float = 0.0
    """Of the pseudo-values."""
    units: int = 0
    freedom: float = 1.0
    """The effective number of units minus 1, and at least 1."""
    stretch: float = 1.0
    """Factor of all skewness."""
    seed_deviation: float = 0.0
    """Standard deviation of the value between seeds; 0 for one seed."""
    seeds: int = 1
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """Least and largest value that there can be: the interval ends there."""

    @property
    def unit_error(self) -> float:
        """The standard error from units alone."""
        return 0.0 if self.deviation is None else self.deviation / math.sqrt(self.units)

    @property
    def seed_error(self) -> float:
        """The standard error from seeds alone."""
        return self.seed_deviation / math.sqrt(self.seeds)

    @property
    def error(self) -> float | None:
        """The standard error of the value."""
        return None if self.deviation is None else math.hypot(self.unit_error, self.seed_error)

    @property
    def share_of_seeds(self) -> float | None:
        """What of the variance of the value is from seeds, in [0, 1]; None with one seed or without an interval."""
        if self.seeds < 2 or not self.error:
            return None
        return (self.seed_error / self.error) ** 2

    def reach(self, side: int, alpha: float) -> float:
        """How far the interval at level 1 − α goes from the value towards a side (1: up, −1: down)."""
        q = -float(stdtrit(self.freedom, alpha / 2))
        r = -float(stdtrit(self.seeds - 1, alpha / 2)) if self.seed_error else 0.0
        longer = 0.0
        if self.units > FEWEST_GROUPS:  # two units show no skewness
            skew = self.stretch * (max(side * self.skewness, 0) + LEAST_SKEW)
            longer = skew * (1 + 2 * q * q) / (6 * math.sqrt(self.units))
        return math.hypot(q * self.unit_error, r * self.seed_error) + longer * self.unit_error

    def ends(self, level: float = LEVEL) -> tuple[float | None, float | None]:
        """Low and high end of the interval; None where there is none."""
        if self.error is None:
            return None, None
        below, above = (self.reach(side, 1 - level) for side in (-1, 1))
        return max(self.value - below, self.bounds[0]), min(self.value + above, self.bounds[1])

    def p(self) -> float | None:
        """The smallest α, two-sided, for which the interval at level 1 − α leaves out 0; None without an interval."""
        if self.error is None:
            return None
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        side = -1 if self.value > 0 else 1

        def beyond(log_alpha: float) -> float:
            return self.reach(side, math.exp(log_alpha)) - abs(self.value)

        if beyond(0.0) >= 0:
            return 1.0
        return math.exp(bisect(beyond, LEAST_LOG_P, 0.0, xtol=1e-12)) if beyond(LEAST_LOG_P) > 0 else 0.0

    def effect(self) -> float | None:
        """The value over its deviation between units; None where there is none."""
        return self.value / self.deviation if self.deviation else None


def spread_of(
    values: Float[Tensor, " seed"],
    without: Float[Tensor, "seed unit"],
    *,
    freedom: float,
    stretch: float,
) -> Spread:
    """The spread of the mean over seeds.

    Args:
        values: Over all units, one per seed.
        without: Without each of the units.
        freedom: Degrees of freedom of the units.
        stretch: Factor of all skewness.
    """
    seeds, units = without.shape
    value, left_out = values.mean(), without.mean(0)
    if not bool(left_out.isfinite().all()) or not bool(value.isfinite()):
        return Spread(float(value))
    pseudo = units * value - (units - 1) * left_out
    pseudo = pseudo - pseudo.mean()
    deviation = float((pseudo.square().sum() / (units - 1)).sqrt())
    rounding = 1e-12 * max(abs(float(value)), 1.0)
    between = float(values.std()) if seeds > 1 else 0.0
    between = between if between > rounding else 0.0
    if deviation <= rounding * units:  # units do not differ
        return Spread(float(value), 0.0, 0.0, units, freedom, stretch, between, seeds)
    skewness = 0.0
    if units > FEWEST_GROUPS:
        skewness = float(pseudo.pow(3).sum()) * units / ((units - 1) * (units - 2)) / deviation**3
    return Spread(float(value), deviation, skewness, units, freedom, stretch, between, seeds)
