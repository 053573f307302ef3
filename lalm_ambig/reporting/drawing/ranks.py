"""Rank tests between groups of items: Kruskal–Wallis over all, Mann–Whitney for each pair, adjusted by Holm.

Items count as independent. Clips of one speaker are not quite, so that p is then too small.
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
    """The result of one test."""

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
    """Test all levels that have values (Kruskal–Wallis), and each two of them (Mann–Whitney).

    Returns:
        The test over all levels, then those of the pairs. The list is empty if fewer than two levels have values, or if
        all values are equal.
    """
    filled = {name: values for name, values in samples.items() if len(values)}
    if len(filled) < 2 or len({value for values in filled.values() for value in values}) < 2:
        return []
    result: Any = stats.kruskal(*filled.values())
    sizes = tuple(len(values) for values in filled.values())
    overall = RankTest("Kruskal–Wallis", tuple(filled), sizes, float(result.statistic), float(result.pvalue))
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
    """P values adjusted by Holm's step-down method, in the given order, in [0, 1].

    The k-th smallest of m is multiplied by m − k + 1. It is at least the adjusted value of a smaller one.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted
