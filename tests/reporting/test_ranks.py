"""Rank tests against scipy, and Holm's adjustment by hand and against its definition."""

import numpy as np
import pytest
from scipy import stats

from lalm_ambig.reporting.drawing.ranks import holm, rank_tests


@pytest.fixture
def samples() -> dict[str, list[float]]:
    draw = np.random.default_rng(3)
    return {
        "low": draw.normal(0.0, 1, 20).tolist(),
        "medium": draw.normal(0.4, 1, 30).tolist(),
        "high": draw.normal(1.0, 1, 25).tolist(),
    }


def test_kruskal_and_every_pair_are_scipys(samples: dict[str, list[float]]) -> None:
    overall, *pairs = rank_tests(samples)
    expected = stats.kruskal(*samples.values())
    assert (overall.statistic, overall.p) == (expected.statistic, expected.pvalue)
    assert (overall.levels, overall.sizes, overall.p_holm) == (("low", "medium", "high"), (20, 30, 25), None)
    assert [pair.levels for pair in pairs] == [("low", "medium"), ("low", "high"), ("medium", "high")]
    for pair in pairs:
        a, b = (samples[level] for level in pair.levels)
        found = stats.mannwhitneyu(a, b, alternative="two-sided")
        assert (pair.statistic, pair.p) == (found.statistic, found.pvalue)
    assert [pair.p_holm for pair in pairs] == holm([pair.p for pair in pairs])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_rejects_what_the_step_down_procedure_rejects() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        p_values = (draw.random(6) ** 3).tolist()
        rejected = set()
        for rank, at in enumerate(np.argsort(p_values)):
            if p_values[at] > 0.05 / (6 - rank):
                break
            rejected.add(int(at))
        assert {at for at, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


def test_levels_without_items_are_left_out_and_nothing_to_rank_gives_no_test() -> None:
    found = rank_tests({"low": [0.1, 0.2, 0.3], "medium": [], "high": [0.5, 0.6]})
    assert [t.levels for t in found] == [("low", "high"), ("low", "high")]
    assert rank_tests({"low": [0.5, 0.5], "high": [0.5]}) == []
    assert rank_tests({"low": [0.1, 0.2], "high": []}) == []
