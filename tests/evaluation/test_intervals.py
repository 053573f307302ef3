"""Intervals and paired comparisons against a jackknife done slowly, and what grouping by speaker changes."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.evaluation.intervals import (
    Clusters,
    can_mark,
    intervals,
    paired,
    too_few,
    without_interval,
)
from lalm_ambig.evaluation.multiplicity import holm
from lalm_ambig.evaluation.spread import Spread
from lalm_ambig.metrics.base import DistributionMetric, all_metrics

UNEQUAL = tuple("aaaaaabbbbccccccccddddddeeeeefffffggggggghhhhhhhh"[:48])


def pair(seed: int, items: int = 48) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    votes = torch.randint(0, 4, (items, 3), generator=generator).double()
    votes[:, 0] += 1
    predicted = torch.randn(items, 3, generator=generator, dtype=torch.float64).softmax(-1)
    return votes / votes.sum(-1, keepdim=True), predicted


def value_of(metric: DistributionMetric, label_dist: Tensor, predicted_dist: Tensor) -> float:
    metric.reset()
    metric.update(label_dist, predicted_dist)
    return float(metric.compute())


def slow(
    metric: DistributionMetric, label_dist: Tensor, predicted_dist: Tensor, names: list[str]
) -> np.ndarray:
    """The pseudo-values of a metric, each from a data set of its own without one unit."""
    units = list(dict.fromkeys(names))
    whole = value_of(metric, label_dist, predicted_dist)
    without = []
    for unit in units:
        kept = torch.tensor([name != unit for name in names])
        without.append(value_of(metric, label_dist[kept], predicted_dist[kept]))
    return len(units) * whole - (len(units) - 1) * np.array(without)


def metrics_of(n_categories: int) -> list[DistributionMetric]:
    """All metrics of distributions alone; the others need numbers of votes."""
    return [metric for metric in all_metrics(n_categories) if not metric.needs_votes]


def slow_ends(pseudo: np.ndarray, names: list[str], stretch: float) -> tuple[float, float]:
    """How far the interval reaches below and above the value."""
    units = len(pseudo)
    sizes = np.array([names.count(name) for name in dict.fromkeys(names)])
    q = scipy.stats.t.ppf(0.975, sizes.sum() ** 2 / (sizes**2).sum() - 1)
    error = pseudo.std(ddof=1) / np.sqrt(units)
    third = ((pseudo - pseudo.mean()) ** 3).sum() * units / ((units - 1) * (units - 2))
    skewness = third / pseudo.std(ddof=1) ** 3
    factor = stretch * (1 + 2 * q**2) / (6 * np.sqrt(units))
    longer = [(max(side * skewness, 0) + 0.3) * factor for side in (-1, 1)]
    return error * (q + longer[0]), error * (q + longer[1])


@pytest.mark.parametrize("speakers", [None, UNEQUAL], ids=["items", "speakers"])
def test_an_interval_is_that_of_data_sets_without_one_unit_each(speakers: tuple[str, ...] | None) -> None:
    label_dist, predicted_dist = pair(0)
    names = list(speakers or map(str, range(48)))
    found = intervals(metrics_of(3), label_dist, predicted_dist=predicted_dist, clusters=Clusters(speakers))
    for metric in metrics_of(3):
        mine, value = found[metric.name], value_of(metric, label_dist, predicted_dist)
        assert mine.value == pytest.approx(value)
        if metric.kind == "binned":
            assert (mine.low, mine.high) == (None, None)
            continue
        stretch = 1 if metric.kind == "mean" else 2
        below, above = slow_ends(slow(metric, label_dist, predicted_dist, names), names, stretch)
        assert mine.low == pytest.approx(max(value - below, metric.bounds[0]), abs=1e-9), metric.name
        assert mine.high == pytest.approx(min(value + above, metric.bounds[1]), abs=1e-9), metric.name


def test_over_items_a_mean_has_nearly_the_interval_of_students_t() -> None:
    label_dist, predicted_dist = pair(2, items=600)
    found = intervals(metrics_of(3), label_dist, predicted_dist=predicted_dist)["js_div_bits"]
    values = js_divergence(label_dist, predicted_dist).numpy()
    wanted = scipy.stats.t.interval(0.95, 599, values.mean(), scipy.stats.sem(values))
    assert (found.low, found.high) == pytest.approx(wanted, abs=0.0015)
    assert found.low is not None and found.low < wanted[0]


def test_speakers_are_left_out_and_not_items() -> None:
    # ten speakers with 40 equal clips each: there are ten observations, not 400
    label_dist, predicted_dist = (rows.repeat_interleave(40, 0) for rows in pair(3, items=10))
    speakers = tuple(name for name in "abcdefghij" for _ in range(40))
    by_items, by_speakers = (
        intervals(metrics_of(3), label_dist, predicted_dist=predicted_dist, clusters=Clusters(groups))["bc"]
        for groups in (None, speakers)
    )
    assert by_items.low is not None and by_items.high is not None
    assert by_speakers.low is not None and by_speakers.high is not None
    assert by_speakers.high - by_speakers.low > 4 * (by_items.high - by_items.low)


def test_ends_stay_within_what_a_metric_can_be() -> None:
    label_dist, _ = pair(4)
    label_dist[:, 1] += 0.01
    label_dist = label_dist / label_dist.sum(-1, keepdim=True)
    predicted = label_dist.clone()
    predicted[::7] = 1 / 3
    found = intervals(metrics_of(3), label_dist, predicted_dist=predicted, clusters=Clusters(UNEQUAL))
    for metric in metrics_of(3):
        low, high = found[metric.name].low, found[metric.name].high
        assert low is None or high is None or metric.bounds[0] <= low <= high <= metric.bounds[1]


@pytest.mark.parametrize("left_out", range(len(metrics_of(3))))
def test_a_run_does_not_differ_from_itself_however_many_metrics_there_are(left_out: int) -> None:
    label_dist, predicted_dist = pair(5)
    metrics = [metric for metric in metrics_of(3)[left_out:] if metric.kind != "binned"]
    found = paired(metrics, label_dist, first=predicted_dist, second=predicted_dist)
    assert {(d.value, d.low, d.high, d.p, d.effect) for d in found.values()} <= {(0, 0, 0, 1, None)}


def test_the_difference_is_first_minus_second_with_a_small_p_where_one_is_always_better() -> None:
    label_dist, poor = pair(6)
    good = 0.9 * label_dist + 0.1 * poor
    found = paired(metrics_of(3), label_dist, first=good, second=poor)
    js, bc = found["js_div_bits"], found["bc"]
    apart = js_divergence(label_dist, good) - js_divergence(label_dist, poor)
    assert js.value == pytest.approx(float(apart.mean()))
    assert js.high is not None and js.high < 0 < bc.value
    assert js.p is not None and js.p < 1e-6
    assert js.effect == pytest.approx(float(apart.mean() / apart.std()))


def test_paired_differences_leave_the_same_items_out() -> None:
    label_dist, poor = pair(7)
    slightly_better = 0.98 * poor + 0.02 * label_dist
    found = paired(metrics_of(3), label_dist, first=slightly_better, second=poor)["js_div_bits"]
    alone = intervals(metrics_of(3), label_dist, predicted_dist=poor)["js_div_bits"]
    assert found.low is not None and found.high is not None
    assert alone.low is not None and alone.high is not None
    assert (found.high - found.low) < (alone.high - alone.low) / 5


@pytest.mark.parametrize("seeds", [{}, {"seed_deviation": 0.4, "seeds": 3}], ids=["one seed", "three"])
@pytest.mark.parametrize("skewness", [-1.2, 0.0, 0.9])
@pytest.mark.parametrize("value", [-0.4, -0.05, 0.02, 0.3, 1.5])
def test_p_is_the_level_at_which_the_interval_touches_zero(
    value: float, skewness: float, seeds: dict[str, Any]
) -> None:
    spread = Spread(value, 0.7, skewness, units=9, freedom=6.5, **seeds)
    p = spread.p()
    assert p is not None
    if p < 1:
        low, high = spread.ends(1 - p)
        assert low is not None and high is not None
        assert (low if value > 0 else high) == pytest.approx(0, abs=1e-9)
    low, high = spread.ends()
    assert low is not None and high is not None
    assert (p < 0.05) == (low > 0 or high < 0)


def test_an_interval_is_longer_towards_outlying_units_and_with_two_units_it_is_students() -> None:
    low, high = Spread(0.0, 1.0, 1.5, units=8, freedom=7.0).ends()
    assert low is not None and high is not None and high > -low > scipy.stats.t.ppf(0.975, 7) / math.sqrt(8)
    two = Spread(0.0, 1.0, 0.0, units=2, freedom=1.0).ends()
    assert two == pytest.approx(scipy.stats.t.interval(0.95, 1, 0, 1 / math.sqrt(2)))


def test_seeds_widen_an_interval_by_their_own_error_and_their_few_degrees_of_freedom() -> None:
    units = {"units": 8, "freedom": 7.0}
    one = Spread(0.0, 1.0, **units)
    three = Spread(0.0, 1.0, **units, seed_deviation=1.0, seeds=3)
    assert three.error == pytest.approx(math.sqrt(1 / 8 + 1 / 3))
    assert three.share_of_seeds == pytest.approx((1 / 3) / (1 / 8 + 1 / 3)) and one.share_of_seeds is None
    q, r = (scipy.stats.t.ppf(0.975, freedom) for freedom in (7, 2))
    longer = 0.3 * (1 + 2 * q**2) / (6 * 8)
    assert three.ends()[1] == pytest.approx(math.sqrt(q**2 / 8 + r**2 / 3) + longer)
    only_seeds = Spread(0.0, 0.0, **units, seed_deviation=1.0, seeds=3)
    assert only_seeds.ends() == pytest.approx(scipy.stats.t.interval(0.95, 2, 0, 1 / math.sqrt(3)))
    agreeing = Spread(0.0, 1.0, **units, seeds=3)
    assert agreeing.ends() == one.ends() and agreeing.share_of_seeds == 0


def test_a_value_of_several_seeds_is_the_mean_of_theirs_also_for_a_ratio_of_sums() -> None:
    label_dist, one = pair(3)
    other, groups = pair(4)[1], Clusters(tuple(f"{n % 8}" for n in range(len(one))))
    both = intervals(metrics_of(3), label_dist, predicted_dist=[one, other], clusters=groups)
    alone = [intervals(metrics_of(3), label_dist, predicted_dist=p, clusters=groups) for p in (one, other)]
    for name, found in both.items():
        assert found.value == pytest.approx((alone[0][name].value + alone[1][name].value) / 2), name
    equal = paired(metrics_of(3), label_dist, first=[one, other], second=[one, other], clusters=groups)
    assert all(found.value == 0 for found in equal.values())
    against_one = paired(metrics_of(3), label_dist, first=[one, other], second=one, clusters=groups)
    for name, found in against_one.items():
        assert found.value == pytest.approx((alone[1][name].value - alone[0][name].value) / 2), name
    with pytest.raises(ValueError, match="2 and 3 seeds cannot be paired"):
        paired(metrics_of(3), label_dist, first=[one, other], second=[one, one, other], clusters=groups)


def test_there_is_no_interval_for_an_infinite_value() -> None:
    label_dist, predicted_dist = pair(8)
    predicted_dist[3] = torch.tensor([0.0, 0.5, 0.5])
    found = intervals(metrics_of(3), label_dist, predicted_dist=predicted_dist)
    assert found["kl"].value == math.inf
    assert (found["kl"].low, found["kl"].high) == (None, None)
    assert found["bc"].low is not None
    there = paired(metrics_of(3), label_dist, first=predicted_dist, second=label_dist)["kl"]
    assert (there.low, there.high, there.p) == (None, None, None)


@pytest.mark.parametrize(
    ("items", "groups", "reason"),
    [(9, None, "no interval: 9 items"), (12, ("a",) * 12, "no interval: 1 speaker"), (10, None, None)],
)
def test_too_few_items_or_speakers_get_a_value_without_interval(
    items: int, groups: tuple[str, ...] | None, reason: str | None
) -> None:
    label_dist, predicted_dist = pair(9, items=items)
    clusters = Clusters(groups)
    assert too_few(items, clusters) == reason
    found = intervals(metrics_of(3), label_dist, predicted_dist=predicted_dist, clusters=clusters)
    assert (found["bc"].low is None) == (reason is not None)
    assert found["bc"].value > 0
    other = paired(metrics_of(3), label_dist, first=label_dist, second=predicted_dist, clusters=clusters)
    assert (other["bc"].p is None) == (reason is not None)


def test_a_ratio_takes_eight_speakers_and_bins_take_more_than_there_are() -> None:
    by_name = {metric.name: metric for metric in metrics_of(3)}
    assert without_interval(by_name["f1_macro"], 7) is not None
    assert without_interval(by_name["f1_macro"], 8) is None
    assert without_interval(by_name["accuracy"], 2) is None
    assert without_interval(by_name["ece_human"], 10_000) is not None
    assert {m.name for m in metrics_of(3) if m.kind == "mean"} >= {"js_div_bits", "bc", "kl", "brier_mean"}
    assert [can_mark("speakers", 2), can_mark("speakers", 3), can_mark("items", 2)] == [False, True, True]


def test_p_values_of_several_tests_are_adjusted_and_keep_their_order() -> None:
    given = [0.04, 0.001, None, 0.5, 0.012]
    found = holm(given)
    assert found == [pytest.approx(0.08), pytest.approx(0.004), None, 0.5, pytest.approx(0.036)]
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([None]) == [None] and holm([]) == []


def test_another_number_of_speakers_or_a_row_that_is_no_distribution_is_named() -> None:
    label_dist, predicted_dist = pair(0)
    with pytest.raises(ValueError, match="2 speakers for 48 items"):
        intervals(metrics_of(3), label_dist, predicted_dist=predicted_dist, clusters=Clusters(("a", "b")))
    with pytest.raises(ValueError, match=r"predicted: row \[0\] is not a distribution"):
        intervals(metrics_of(3), label_dist, predicted_dist=predicted_dist * 2)
