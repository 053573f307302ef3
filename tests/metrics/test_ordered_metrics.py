"""Metrics of ordered classes, and of what two distributions share: by hand, and against scipy and scikit-learn."""

import pytest
import torch
from scipy.stats import wasserstein_distance

from lalm_ambig.metrics.base import all_metrics
from lalm_ambig.metrics.ordered import MeanAbsoluteErrorOfMean, RankedProbabilityScore, Wasserstein
from lalm_ambig.metrics.overlap import Manhattan, SoftAccuracy

TARGET = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.5]], dtype=torch.float64)
PREDICTED = torch.tensor([[0.0, 0.0, 0.25, 0.75], [0.0, 0.5, 0.5, 0.0]], dtype=torch.float64)


def drawn(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(40, 6, generator=generator, dtype=torch.float64).mul(2).softmax(-1)


def test_values_worked_out_by_hand() -> None:
    # item 1: a quarter moves one step and three quarters move two; item 2: two halves move one step each
    assert Wasserstein(4).per_item(TARGET, PREDICTED).tolist() == [1.75, 1.0]
    # item 1: F - F' = 0, 1, 0.75, 0; item 2: 0.5, 0, -0.5, 0
    assert RankedProbabilityScore(4).per_item(TARGET, PREDICTED).tolist() == pytest.approx(
        [1.5625 / 3, 0.5 / 3]
    )
    # means 1 and 2.75; 1.5 and 1.5
    assert MeanAbsoluteErrorOfMean(4).per_item(TARGET, PREDICTED).tolist() == [1.75, 0.0]
    assert Manhattan(4).per_item(TARGET, PREDICTED).tolist() == [2.0, 2.0]
    assert SoftAccuracy(4).per_item(TARGET, PREDICTED).tolist() == [0.0, 0.0]


def test_wasserstein_is_that_of_scipy() -> None:
    label_dist, predicted_dist, places = drawn(0), drawn(1), range(6)
    found = Wasserstein(6).per_item(label_dist, predicted_dist).tolist()
    wanted = [
        wasserstein_distance(places, places, p, q)
        for p, q in zip(label_dist.numpy(), predicted_dist.numpy(), strict=True)
    ]
    assert found == pytest.approx(wanted, abs=1e-12)


def test_the_error_of_the_mean_is_at_most_the_wasserstein_distance() -> None:
    label_dist, predicted_dist = drawn(0), drawn(1)
    error = MeanAbsoluteErrorOfMean(6).per_item(label_dist, predicted_dist)
    distance = Wasserstein(6).per_item(label_dist, predicted_dist)
    assert bool((error <= distance + 1e-12).all())
    assert bool((error < distance - 1e-3).any())


def test_soft_accuracy_is_one_less_half_the_manhattan_distance() -> None:
    shared = SoftAccuracy(6).per_item(drawn(0), drawn(1))
    torch.testing.assert_close(shared, 1 - Manhattan(6).per_item(drawn(0), drawn(1)) / 2)


def test_a_far_miss_is_worse_than_a_near_one_and_that_is_so_for_ordered_metrics_alone() -> None:
    target = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    near, far = (torch.eye(4, dtype=torch.float64)[[place]] for place in (1, 3))
    for metric in all_metrics(4):
        costs = [float(metric.reduce(metric.statistics(target, miss).sum(0))) for miss in (near, far)]
        assert (costs[0] != pytest.approx(costs[1], nan_ok=True)) == metric.needs_order, metric.name


def test_metrics_of_ordered_classes_are_left_out_where_classes_have_no_order() -> None:
    names = {metric.name for metric in all_metrics(3)} - {
        metric.name for metric in all_metrics(3, ordered=False)
    }
    assert names == {"wasserstein", "rps", "mae_mean"}
