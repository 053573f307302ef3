"""Maths on categoricals against numbers worked out by hand, scipy, and properties."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import pearsonr
from torch import Tensor

from lalm_ambig.core import distributions as d

DIVERGENCES = (
    d.kl,
    d.js_divergence,
    d.js_distance,
    d.bhattacharyya,
    d.brier_sum,
    d.brier_mean,
    d.squared_pearson,
)
SYMMETRIC = (d.js_divergence, d.js_distance, d.bhattacharyya, d.brier_sum, d.brier_mean, d.squared_pearson)
BOUNDS = {"js_divergence": 1, "js_distance": 1, "bhattacharyya": 1, "brier_sum": 2, "brier_mean": 2 / 5}
Divergence = Callable[[Tensor, Tensor], Tensor]


def rows(seed: int, *, items: int = 40, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random distributions over five classes, a quarter of their entries 0."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(items, 5, generator=generator, dtype=torch.float64) ** 3
    weights[:, 1:] *= torch.rand(items, 4, generator=generator) > 0.3
    return (weights / weights.sum(-1, keepdim=True)).to(dtype)


def test_numbers_worked_out_by_hand() -> None:
    half, quarter = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    sure = torch.tensor([1.0, 0.0])
    assert float(d.entropy(torch.tensor([0.5, 0.25, 0.25]))) == pytest.approx(1.5 * math.log(2))
    assert float(d.normalised_entropy(torch.tensor([0.5, 0.5, 0.0, 0.0]))) == pytest.approx(0.5)
    assert float(d.kl(half, quarter)) == pytest.approx(0.143841, abs=1e-6)
    assert float(d.kl(quarter, half)) == pytest.approx(0.130812, abs=1e-6)
    assert float(d.js_divergence(sure, half)) == pytest.approx(0.311278, abs=1e-6)
    assert float(d.js_distance(sure, half)) == pytest.approx(0.557923, abs=1e-6)
    assert float(d.bhattacharyya(sure, half)) == pytest.approx(math.sqrt(0.5))
    assert float(d.brier_sum(sure, quarter)) == pytest.approx(0.75**2 * 2)
    assert float(d.brier_mean(sure, quarter)) == pytest.approx(0.75**2)
    # deviations (1, 0, −1)/3 and (1, −1, 0)/3: r = 1/2
    first, second = torch.tensor([2.0, 1.0, 0.0]) / 3, torch.tensor([2.0, 0.0, 1.0]) / 3
    assert float(d.squared_pearson(first, second)) == pytest.approx(0.25)


def test_the_target_is_the_first_argument_of_kl() -> None:
    sure, half = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    assert float(d.kl(sure, half)) == pytest.approx(math.log(2))
    assert float(d.kl(half, sure)) == math.inf


def test_entropies_and_divergences_agree_with_scipy() -> None:
    p, q = rows(0), rows(1).clamp_min(1e-6)
    q = q / q.sum(-1, keepdim=True)
    torch.testing.assert_close(d.entropy(p), torch.from_numpy(scipy_entropy(p.numpy(), axis=-1)))
    torch.testing.assert_close(d.kl(p, q), torch.from_numpy(scipy_entropy(p.numpy(), q.numpy(), axis=-1)))
    distance = torch.from_numpy(jensenshannon(p.numpy(), rows(1).numpy(), base=2, axis=-1))
    torch.testing.assert_close(d.js_distance(p, rows(1)), distance)
    torch.testing.assert_close(d.js_divergence(p, rows(1)), distance**2)


def test_squared_pearson_agrees_with_scipy_and_is_0_for_a_constant_vector() -> None:
    p, q = rows(2), rows(3)
    wanted = [pearsonr(a, b).statistic ** 2 for a, b in zip(p.numpy(), q.numpy(), strict=True)]
    torch.testing.assert_close(d.squared_pearson(p, q), torch.tensor(wanted, dtype=torch.float64))
    rounded_uniform = torch.softmax(torch.tensor([[0.3, 0.3, 0.3, 0.3, 0.3 + 1e-7]]), -1).double()
    assert float(d.squared_pearson(p[:1], rounded_uniform)) == 0


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_divergences_do_not_depend_on_the_order_of_the_classes(divergence: Divergence) -> None:
    p, q, order = rows(4), rows(5), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(divergence(p[:, order], q[:, order]), divergence(p, q))


@pytest.mark.parametrize("divergence", SYMMETRIC)
def test_every_divergence_but_kl_is_symmetric(divergence: Divergence) -> None:
    torch.testing.assert_close(divergence(rows(6), rows(7)), divergence(rows(7), rows(6)))


@pytest.mark.parametrize(("name", "largest"), BOUNDS.items())
def test_divergences_stay_in_their_range_and_reach_its_end(name: str, largest: float) -> None:
    divergence: Divergence = getattr(d, name)
    values = divergence(rows(8), rows(9))
    assert float(values.min()) >= 0 and float(values.max()) <= largest
    one_hot = torch.eye(5)
    apart, same = float(divergence(one_hot[0], one_hot[1])), float(divergence(one_hot[0], one_hot[0]))
    assert (same, apart) == pytest.approx((1, 0) if name == "bhattacharyya" else (0, largest))


def test_a_distribution_has_no_divergence_from_itself() -> None:
    p = rows(10, dtype=torch.float32)
    assert float(d.js_distance(p, p).max()) == 0
    assert float(d.kl(p, p).abs().max()) == 0
    torch.testing.assert_close(d.bhattacharyya(p, p), torch.ones(40))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_half_precision_rows_are_accepted_and_computed_in_float32(
    divergence: Divergence, dtype: torch.dtype
) -> None:
    logits = torch.randn(500, 5, generator=torch.Generator().manual_seed(0))
    p, q = logits.softmax(-1), logits.roll(1, 0).softmax(-1)
    value = divergence(p.to(dtype), q.to(dtype))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, divergence(p, q), atol=0.05, rtol=0.05)


def test_float64_stays_float64() -> None:
    assert d.js_divergence(rows(0), rows(1)).dtype == torch.float64


def test_kl_from_logits_equals_kl_and_has_the_gradient_softmax_minus_target() -> None:
    target = rows(11)
    logits = torch.randn(
        40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True
    )
    loss = d.kl_from_logits(target, logits)
    torch.testing.assert_close(loss, d.kl(target, logits.softmax(-1)))
    torch.autograd.backward(loss.sum())
    torch.testing.assert_close(logits.grad, (logits.softmax(-1) - target).detach())


def test_kl_from_logits_has_a_gradient_where_the_softmax_underflows() -> None:
    logits = torch.tensor([0.0, 500.0], requires_grad=True)
    loss = d.kl_from_logits(torch.tensor([1.0, 0.0]), logits)
    torch.autograd.backward(loss)
    assert float(loss.detach()) == pytest.approx(500)
    torch.testing.assert_close(logits.grad, torch.tensor([-1.0, 1.0]))


def test_a_class_masked_with_minus_infinity_costs_nothing_without_votes() -> None:
    logits = torch.tensor([0.0, 0.0, -math.inf], requires_grad=True)
    loss = d.kl_from_logits(torch.tensor([1.0, 0.0, 0.0]), logits)
    torch.autograd.backward(loss)
    assert float(loss.detach()) == pytest.approx(math.log(2))
    torch.testing.assert_close(logits.grad, torch.tensor([-0.5, 0.5, 0.0]))


def test_smoothing_adds_a_thousandth_to_every_class() -> None:
    torch.testing.assert_close(d.smoothed(torch.tensor([1.0, 0.0])), torch.tensor([1.001, 0.001]) / 1.002)


def test_a_tie_of_the_majority_goes_to_the_first_class() -> None:
    assert d.majority(torch.tensor([[0.2, 0.4, 0.4], [0.4, 0.2, 0.4]])).tolist() == [1, 0]


def test_ambiguity_levels_change_at_exactly_33_and_66_hundredths(monkeypatch: pytest.MonkeyPatch) -> None:
    ambiguity = torch.tensor([0.0, 0.3299, 0.33, 0.3333, 0.6599, 0.66, 0.6666, 1.0], dtype=torch.float64)
    monkeypatch.setattr(d, "normalised_entropy", lambda _: ambiguity)
    levels = [d.AMBIGUITY_LEVELS[i] for i in d.ambiguity_level(rows(0, items=8)).tolist()]
    assert levels == ["low", "low", "medium", "medium", "medium", "high", "high", "high"]


def test_the_ambiguity_level_of_rows() -> None:
    p = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    assert d.ambiguity_level(p).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "bad", [[0.5, 0.4], [1.2, -0.2], [math.nan, 1.0], [0.5, 0.51]], ids=["short", "negative", "nan", "long"]
)
def test_a_row_that_is_no_distribution_is_named(bad: list[float]) -> None:
    p = torch.tensor([[0.5, 0.5], bad])
    for divergence in DIVERGENCES:
        with pytest.raises(ValueError, match=r"target: row \[1\] is not a distribution: .* sums to"):
            divergence(p, torch.full((2, 2), 0.5))
        with pytest.raises(ValueError, match=r"predicted: row \[1\] is not a distribution"):
            divergence(torch.full((2, 2), 0.5), p)
    with pytest.raises(ValueError, match=r"distribution: row \[1\] is not a distribution"):
        d.entropy(p)
    with pytest.raises(ValueError, match=r"target: row \[1\]"):
        d.kl_from_logits(p, torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"predicted: row \[1\]"):
        d.smoothed(p)


def test_different_numbers_of_classes_are_named() -> None:
    three, two = torch.full((1, 3), 1 / 3), torch.full((1, 2), 0.5)
    # Under the run-time shape checks of the tests the axis names would already differ.
    with pytest.raises(ValueError, match="target has 3 classes, predicted has 2"):
        d._checked(three, two)
