"""What every metric of the package has to hold; a new file is found and tested by itself."""

import math

import pytest
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from lalm_ambig.evaluation.intervals import intervals
from lalm_ambig.metrics.base import Answers, DistributionMetric, all_metrics, formulas

CLASSES = {metric.name: type(metric) for metric in all_metrics(4)}
NAMES = list(CLASSES)
SEEDS = range(5)
MANY = torch.tensor(torch.inf, dtype=torch.float64)
"""Votes of each item, where the target is the distribution behind them."""


def named(name: str, n_categories: int = 4) -> DistributionMetric:
    return CLASSES[name](n_categories)


def pair(seed: int, items: int = 60) -> tuple[Tensor, Tensor]:
    """Targets with zeros (few votes) and one largest class, predictions without zeros."""
    generator = torch.Generator().manual_seed(seed)
    votes = torch.randint(0, 3, (items, 4), generator=generator).double()
    votes += 3 * torch.nn.functional.one_hot(torch.randint(0, 4, (items,), generator=generator), 4)
    predicted = torch.randn(items, 4, generator=generator, dtype=torch.float64).mul(2).softmax(-1)
    return votes / votes.sum(-1, keepdim=True), predicted


def value(metric: DistributionMetric, label_dist: Tensor, predicted_dist: Tensor) -> float:
    metric.reset()
    metric.update(label_dist, predicted_dist, votes=MANY.expand(len(label_dist)))
    return float(metric.compute())


def test_all_metrics_of_the_specification_are_there() -> None:
    specified = {
        "js_div_bits",
        "js_dist_bits",
        "bc",
        "brier_mean",
        "brier_sum",
        "kl",
        "kl_smoothed",
        "accuracy",
    }
    specified |= {
        "r2_pearson_item",
        "r2_pearson",
        "r2_score",
        "f1_macro",
        "f1_weighted",
        "entropy_correlation",
    }
    assert set(NAMES) >= specified | {"ece_human", "ece_majority", "overconfidence"}


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_has_a_label_for_tables(name: str) -> None:
    assert named(name).label


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_claimed_bounds_hold(name: str, seed: int) -> None:
    low, high = named(name).bounds
    assert low <= value(named(name), *pair(seed)) <= high
    sure_or_uniform = torch.cat([torch.eye(4), torch.full((2, 4), 0.25)]).double()
    assert low <= value(named(name), sure_or_uniform, sure_or_uniform[[4, 5, 0, 1, 2, 3]]) <= high


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_perfect_prediction_is_the_better_one(name: str, seed: int) -> None:
    metric, (label_dist, predicted_dist) = named(name), pair(seed)
    perfect, other = value(metric, label_dist, label_dist), value(metric, label_dist, predicted_dist)
    if name == "ece_majority":  # sure and right is its best; p itself is not, and its docstring says so
        hard = torch.nn.functional.one_hot(label_dist.argmax(-1), 4).double()
        perfect = value(metric, label_dist, hard)
    if metric.higher_is_better is None:  # signed: it is 0 for the perfect one
        assert perfect == pytest.approx(0, abs=1e-12) and abs(other) > 1e-4
        return
    assert perfect > other if metric.higher_is_better else perfect < other
    if name not in ("kl_smoothed", "brier_mean_unbiased"):  # few votes can bring the second below 0
        assert perfect == pytest.approx(metric.bounds[1 if metric.higher_is_better else 0], abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_neither_the_order_of_items_nor_of_classes_matters(name: str) -> None:
    label_dist, predicted_dist = pair(1)
    items = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([3, 2, 1, 0] if CLASSES[name].needs_order else [2, 0, 3, 1])
    wanted = value(named(name), label_dist, predicted_dist)
    assert value(named(name), label_dist[items], predicted_dist[items]) == pytest.approx(wanted, abs=1e-12)
    moved = value(named(name), label_dist[:, classes], predicted_dist[:, classes])
    assert moved == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_with_unequal_shares_add_up_to_the_whole(name: str) -> None:
    label_dist, predicted_dist = pair(2)
    here, there = named(name), named(name)
    here.update(label_dist[:13], predicted_dist[:13], votes=MANY.expand(13))
    for start in (13, 20, 50):
        stop = {13: 20, 20: 50, 50: 60}[start]
        votes = MANY.expand(stop - start)
        there.update(label_dist[start:stop], predicted_dist[start:stop], votes=votes)
    here.merge_state(there)
    whole = value(named(name), label_dist, predicted_dist)
    assert float(here.compute()) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_reduce_takes_any_number_of_sums_at_once(name: str) -> None:
    metric = named(name)
    sums = torch.stack([metric.statistics(*pair(seed)).sum(0) for seed in SEEDS])
    wanted = torch.tensor([value(metric, *pair(seed)) for seed in SEEDS], dtype=torch.float64)
    torch.testing.assert_close(metric.reduce(sums), wanted)
    torch.testing.assert_close(metric.reduce(sums.view(5, 1, -1))[:, 0], wanted)


@pytest.mark.parametrize("name", NAMES)
def test_statistics_are_finite_whatever_is_predicted(name: str) -> None:
    hard = torch.eye(4, dtype=torch.float64)
    rows = named(name).statistics(hard[[0, 1, 2]], torch.stack([hard[1], hard[1], torch.full((4,), 0.25)]))
    assert bool(rows.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_without_items_there_is_no_value(name: str) -> None:
    metric = named(name)
    assert math.isnan(float(metric.reduce(torch.zeros_like(metric.sums))))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_that_is_no_distribution_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"row \[1\] is not a distribution"):
        named(name, 2).update(torch.full((2, 2), 0.5), torch.tensor([[0.5, 0.5], [0.9, 0.9]]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rows_of_any_float_type_are_accumulated_in_float64(name: str, dtype: torch.dtype) -> None:
    label_dist, predicted_dist = pair(3)
    metric = named(name).to(torch.bfloat16)  # as a LightningModule in bf16-true does to what it holds
    found = value(metric, label_dist.to(dtype), predicted_dist.to(dtype))
    assert metric.compute().dtype == torch.float64
    exact = value(named(name), label_dist.to(dtype).double(), predicted_dist.to(dtype).double())
    assert found == pytest.approx(exact, abs=1e-12)


def test_a_collection_does_not_merge_metrics_that_agree_on_the_first_batch() -> None:
    label_dist, predicted_dist = pair(4)
    together = MetricCollection({metric.name: metric for metric in all_metrics(4)})
    together.update(label_dist[:10], label_dist[:10], votes=MANY.expand(10))  # perfect: many states are equal
    together.update(label_dist[10:], predicted_dist[10:], votes=MANY.expand(50))
    mixed = torch.cat([label_dist[:10], predicted_dist[10:]])
    found = {name: float(one) for name, one in together.compute().items()}
    assert found == pytest.approx({name: value(named(name), label_dist, mixed) for name in NAMES}, abs=1e-12)


def test_a_metric_stays_in_float64_on_the_cpu_wherever_its_module_goes() -> None:
    for metric in all_metrics(4):
        module = torch.nn.ModuleList([metric])
        module.to("meta", torch.float16)
        metric.update(torch.tensor([[0.7, 0.1, 0.1, 0.1]]), torch.full((1, 4), 0.25))
        assert (metric.sums.device.type, metric.sums.dtype) == ("cpu", torch.float64), metric.name


def test_formulas_are_made_once_and_nothing_is_added_to_them() -> None:
    label_dist, predicted_dist = pair(0)
    shared = formulas(4)
    answers = Answers(predicted_dist, torch.ones(60, dtype=torch.bool), votes=MANY.expand(60))
    found = intervals(shared, label_dist, predicted_dist=answers)
    assert found == intervals(all_metrics(4), label_dist, predicted_dist=answers)
    assert all(one is other for one, other in zip(shared, formulas(4), strict=True))
    assert not any(bool(metric.sums.any()) for metric in shared)
    assert not any(one is other for one in all_metrics(4) for other in shared)
    for ordered in (True, False):
        names = [metric.name for metric in all_metrics(3, ordered=ordered)]
        assert [metric.name for metric in formulas(3, ordered=ordered)] == names
