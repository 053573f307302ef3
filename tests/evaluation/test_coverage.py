"""Intervals hold the true value as often as they say: the simulation of docs/concepts/intervals.md in a small form."""

import numpy as np
import pytest
from simulations.coverage import FirstShare, binary, effects, share_of, some_sizes

WORLDS = 1200
"""The standard error of a share of 95 % is then 0.6 %."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "clusters", "share"),
    [
        ("mean", 3, 0.3),
        ("mean", 5, 0.3),
        ("mean", 10, 0.1),
        ("mean", 20, 0.0),
        ("F1", 8, 0.3),
        ("R²", 10, 0.1),
        ("3 seeds", 8, 0.0),
        ("3 seeds", 8, 0.3),
    ],
)
def test_intervals_over_few_and_skewed_clusters_cover(kind: str, clusters: int, share: float) -> None:
    found = share_of(kind, clusters, share, worlds=WORLDS)
    assert found is not None and 0.925 <= found <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize(("clusters", "share"), [(3, 0.3), (10, 0.1)])
@pytest.mark.parametrize("kind", ["p", "p, 3 seeds"])
def test_p_is_small_as_rarely_as_it_says(kind: str, clusters: int, share: float) -> None:
    found = share_of(kind, clusters, share, worlds=WORLDS)
    assert found is not None and 0.002 <= found <= 0.065


def test_an_interval_over_items_would_not_cover() -> None:
    """What the simulation is for: with a third of the variance between ten speakers, items are no observations."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        values = effects(rng, 0.3, some_sizes(rng, 10)[0])
        error = values.std(ddof=1) / np.sqrt(len(values))
        covered += abs(values.mean()) <= 1.96 * error
    assert covered / 300 < 0.7
    assert FirstShare(2).kind == "mean" and binary(np.array([0.25])).tolist() == [[0.25, 0.75]]


def test_ratios_have_no_interval_below_eight_clusters() -> None:
    assert share_of("F1", 7, 0.1, worlds=3) is None
