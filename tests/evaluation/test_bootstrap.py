"""Intervals and paired comparisons against resampling done slowly, and what grouping by speaker changes."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation import bootstrap
from lalm_ambig.evaluation.bootstrap import Resampling, intervals, paired, too_few
from lalm_ambig.metrics.base import all_metrics


def pair(seed: int, items: int = 48) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    votes = torch.randint(0, 4, (items, 3), generator=generator).double()
    votes[:, 0] += 1
    predicted = torch.randn(items, 3, generator=generator, dtype=torch.float64).softmax(-1)
    return votes / votes.sum(-1, keepdim=True), predicted


def slow_values(label_dist: Tensor, predicted_dist: Tensor, resampling: Resampling) -> dict[str, list[float]]:
    """Each resample as a data set of its own: items repeated as often as their speaker was drawn."""
    index, n_units = resampling.indices(len(label_dist))
    found: dict[str, list[float]] = {metric.name: [] for metric in all_metrics(3)}
    for counts in torch.cat(list(resampling.counts(n_units))):
        items = torch.arange(len(label_dist)).repeat_interleave(counts[index].long())
        for metric in all_metrics(3):
            metric.update(label_dist[items], predicted_dist[items])
            found[metric.name].append(float(metric.compute()))
    return found


@pytest.mark.parametrize("speakers", [None, tuple("abcdef" * 8)], ids=["items", "speakers"])
def test_one_matrix_product_equals_resampling_item_by_item(speakers: tuple[str, ...] | None) -> None:
    resampling = Resampling(speakers, resamples=20, seed=3)
    label_dist, predicted_dist = pair(0)
    slow = slow_values(label_dist, predicted_dist, resampling)
    for name, found in intervals(
        all_metrics(3), label_dist, predicted_dist=predicted_dist, resampling=resampling
    ).items():
        low, high = np.quantile(slow[name], [0.025, 0.975])
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_the_value_is_that_of_the_metric_on_all_items() -> None:
    label_dist, predicted_dist = pair(1)
    found = intervals(all_metrics(3), label_dist, predicted_dist=predicted_dist)
    for metric in all_metrics(3):
        metric.update(label_dist, predicted_dist)
        assert found[metric.name].value == pytest.approx(float(metric.compute()))


def test_the_interval_over_items_agrees_with_scipy() -> None:
    label_dist, predicted_dist = pair(2, items=300)
    found = intervals(all_metrics(3), label_dist, predicted_dist=predicted_dist)["js_div_bits"]
    data = (js_divergence(label_dist, predicted_dist).numpy(),)
    wanted = scipy.stats.bootstrap(data, np.mean, method="percentile", rng=1).confidence_interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.004)


def test_speakers_are_drawn_and_not_items() -> None:
    # five speakers with 40 equal clips each: there are five observations, not 200
    label_dist, predicted_dist = (rows.repeat_interleave(40, 0) for rows in pair(3, items=5))
    speakers = tuple(name for name in "abcde" for _ in range(40))
    by_items, by_speakers = (
        intervals(all_metrics(3), label_dist, predicted_dist=predicted_dist, resampling=Resampling(groups))[
            "bc"
        ]
        for groups in (None, speakers)
    )
    assert by_items.low is not None and by_items.high is not None
    assert by_speakers.low is not None and by_speakers.high is not None
    assert by_speakers.high - by_speakers.low > 4 * (by_items.high - by_items.low)


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    label_dist, predicted_dist = pair(4)
    first, again, other = (
        intervals(
            all_metrics(3), label_dist, predicted_dist=predicted_dist, resampling=Resampling(seed=seed)
        )["bc"]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_blocks_that_save_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.cat(list(Resampling(resamples=50).counts(7)))
    monkeypatch.setattr(bootstrap, "COUNTS_AT_ONCE", 30)
    blocks = list(Resampling(resamples=50).counts(7))
    assert len(blocks) == 13
    assert torch.equal(torch.cat(blocks), whole)
    assert whole.shape == (50, 7)
    assert bool((whole.sum(-1) == 7).all())


@pytest.mark.parametrize("left_out", range(len(all_metrics(3))))
def test_a_run_does_not_differ_from_itself_however_many_metrics_there_are(left_out: int) -> None:
    label_dist, predicted_dist = pair(5)
    metrics = all_metrics(3)[left_out:]
    found = paired(metrics, label_dist, first=predicted_dist, second=predicted_dist)
    assert {(d.value, d.low, d.high, d.p) for d in found.values()} == {(0, 0, 0, 1)}


def test_the_difference_is_first_minus_second_with_the_smallest_p_where_one_is_always_better() -> None:
    label_dist, poor = pair(6)
    good = 0.9 * label_dist + 0.1 * poor
    found = paired(all_metrics(3), label_dist, first=good, second=poor, resampling=Resampling(resamples=999))
    js, bc = found["js_div_bits"], found["bc"]
    apart = js_divergence(label_dist, good).mean() - js_divergence(label_dist, poor).mean()
    assert js.value == pytest.approx(float(apart))
    assert js.high is not None and js.high < 0 < bc.value
    assert js.p == pytest.approx(2 / 1000)


def test_paired_differences_are_drawn_on_the_same_items() -> None:
    label_dist, poor = pair(7)
    slightly_better = 0.98 * poor + 0.02 * label_dist
    found = paired(all_metrics(3), label_dist, first=slightly_better, second=poor)["js_div_bits"]
    alone = intervals(all_metrics(3), label_dist, predicted_dist=poor)["js_div_bits"]
    assert found.low is not None and found.high is not None
    assert alone.low is not None and alone.high is not None
    assert (found.high - found.low) < (alone.high - alone.low) / 5


def test_p_counts_resamples_on_the_other_side_with_ties_on_both() -> None:
    differences = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert bootstrap._two_sided_p(differences) == pytest.approx(2 * (2 + 1) / 10)
    assert bootstrap._two_sided_p(-differences) == pytest.approx(2 * (2 + 1) / 10)


def test_p_is_about_uniform_where_two_runs_are_equally_good() -> None:
    generator = torch.Generator().manual_seed(0)
    label_dist = torch.rand(60, 3, generator=generator).softmax(-1)
    js = [metric for metric in all_metrics(3) if metric.name == "js_div_bits"]
    small = 0
    for _ in range(60):
        first, second = (torch.randn(60, 3, generator=generator).softmax(-1) for _ in range(2))
        found = paired(js, label_dist, first=first, second=second, resampling=Resampling(resamples=200))
        p = found["js_div_bits"].p
        assert p is not None
        small += p < 0.2
    assert 4 <= small <= 22


def test_there_is_no_interval_for_an_infinite_value() -> None:
    label_dist, predicted_dist = pair(8)
    predicted_dist[3] = torch.tensor([0.0, 0.5, 0.5])
    found = intervals(all_metrics(3), label_dist, predicted_dist=predicted_dist)
    assert found["kl"].value == math.inf
    assert (found["kl"].low, found["kl"].high) == (None, None)
    assert found["bc"].low is not None
    there = paired(all_metrics(3), label_dist, first=predicted_dist, second=label_dist)["kl"]
    assert (there.low, there.high, there.p) == (None, None, None)


@pytest.mark.parametrize(
    ("items", "groups", "reason"),
    [(9, None, "no interval: 9 items"), (12, ("a",) * 12, "no interval: 1 speaker"), (10, None, None)],
)
def test_too_few_items_or_speakers_get_a_value_without_interval(
    items: int, groups: tuple[str, ...] | None, reason: str | None
) -> None:
    label_dist, predicted_dist = pair(9, items=items)
    resampling = Resampling(groups)
    assert too_few(items, resampling) == reason
    found = intervals(all_metrics(3), label_dist, predicted_dist=predicted_dist, resampling=resampling)
    assert (found["bc"].low is None) == (reason is not None)
    assert found["bc"].value > 0
    other = paired(all_metrics(3), label_dist, first=label_dist, second=predicted_dist, resampling=resampling)
    assert (other["bc"].p is None) == (reason is not None)


def test_impossible_settings_are_named() -> None:
    with pytest.raises(InputError, match="resamples must be at least 1, got 0"):
        Resampling(resamples=0)
    label_dist, predicted_dist = pair(0)
    with pytest.raises(ValueError, match="2 speakers for 48 items"):
        intervals(
            all_metrics(3), label_dist, predicted_dist=predicted_dist, resampling=Resampling(("a", "b"))
        )
    with pytest.raises(ValueError, match=r"predicted: row \[0\] is not a distribution"):
        intervals(all_metrics(3), label_dist, predicted_dist=predicted_dist * 2)
