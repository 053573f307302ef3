"""Rank tests of a value between kinds of items: Kruskal–Wallis over all, Mann–Whitney for each pair, Holm-adjusted.

Items count as independent. Where speakers have several clips they are not quite, and the p values are too small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from scipy import stats

Samples = Mapping[str, Sequence[float]]
"""Level → its values."""


@dataclass(frozen=True)
class RankTest:
    """One test."""

    test: str
    """`Kruskal–Wallis` or `Mann–Whitney`."""
    levels: tuple[str, ...]
    sizes: tuple[int, ...]
    statistic: float
    """H, or U of the first level."""
    p: float
    """Two-sided, of this test alone."""
    p_holm: float | None = None
    """Adjusted over the pairs of levels; None for the test over all of them."""


def rank_tests(samples: Samples) -> list[RankTest]:
    """Kruskal–Wallis over the levels that have a value, and Mann–Whitney between each two of them.

    Empty where fewer than two levels have values, or where all values are equal: there is nothing to rank.
    """
    filled = {name: values for name, values in samples.items() if len(values)}
    if len(filled) < 2 or len({value for values in filled.values() for value in values}) < 2:
        return []
    found: Any = stats.kruskal(*filled.values())
    sizes = tuple(len(values) for values in filled.values())
    overall = RankTest("Kruskal–Wallis", tuple(filled), sizes, float(found.statistic), float(found.pvalue))
    return [overall, *_pairs(filled)]


def _pairs(filled: Samples) -> list[RankTest]:
    pairs = list(combinations(filled, 2))
    tests: list[Any] = [stats.mannwhitneyu(filled[a], filled[b], alternative="two-sided") for a, b in pairs]
    adjusted = holm([float(test.pvalue) for test in tests])
    return [
        RankTest(
            "Mann–Whitney",
            (a, b),
            (len(filled[a]), len(filled[b])),
            float(test.statistic),
            float(test.pvalue),
            p_holm,
        )
        for (a, b), test, p_holm in zip(pairs, tests, adjusted, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: the k-th smallest of m is multiplied by m − k + 1, never falls below a smaller
    one's, and never exceeds 1. The order is kept."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted
