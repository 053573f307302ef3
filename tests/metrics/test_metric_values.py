"""Each metric against numbers worked out by hand and against an independent implementation."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, pearsonr
from sklearn.metrics import accuracy_score, f1_score, r2_score
from torch import Tensor
from torchmetrics.classification import MulticlassCalibrationError
from torchmetrics.regression import KLDivergence

from lalm_ambig.metrics.base import all_metrics

P = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
Q = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], dtype=torch.float64)
BY_HAND = {
    # item 1: m = (.5, .375, .125); item 2: m = (.625, .25, .125); the sums are written out
    "js_div_bits": (
        (0.5 * math.log2(4 / 3) + 0.25 * math.log2(2 / 3) + 0.25) / 2
        + (math.log2(1.6) + 0.25 * math.log2(0.4) + 0.75) / 2
    )
    / 2,
    "bc": ((0.5 + math.sqrt(0.125)) + 0.5) / 2,
    "brier_sum": (0.125 + (0.5625 + 0.25 + 0.0625)) / 2,
    "brier_mean": (0.125 + 0.875) / 6,
    "kl": (0.5 * math.log(2) + math.log(4)) / 2,
    "accuracy": 0.5,
    # class 0: right 1, predicted 1, target 2 → 2/3; class 1: predicted once wrongly → 0; class 2 in neither
    "f1_macro": (2 / 3 + 0) / 2,
    "f1_weighted": 2 / 3,
    # deviations, item 1: (1, 1, −2)/6 and (2, −1, −1)/12: r² = 1/4; item 2: (2, −1, −1)/3 and (−1, 2, −1)/12
    "r2_pearson_item": 0.25,
    # all pairs: SSE = 1, SST = 1.5 − 6/9
    "r2_score": 1 - 1 / (1.5 - 6 / 9),
    # Cov = Σ p p̂ − 6/9 = .625 − .6667; Var: .8333 and .75 − .6667
    "r2_pearson": (0.625 - 2 / 3) ** 2 / ((1.5 - 2 / 3) * (0.75 - 2 / 3)),
    # both tops have 0.5: gaps 0.5 − 0.5 and 0.5 − 0 in one bin
    "ece_human": 0.25,
    "overconfidence": 0.25,
    # right once: gaps 0.5 − 1 and 0.5 − 0 in one bin
    "ece_majority": 0.0,
}


def values(label_dist: Tensor, predicted_dist: Tensor) -> dict[str, float]:
    found = {}
    for metric in all_metrics(label_dist.shape[-1]):
        metric.update(label_dist, predicted_dist)
        found[metric.name] = float(metric.compute())
    return found


def random_pair(items: int = 400, n_categories: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    votes = torch.randint(0, 4, (items, n_categories), generator=generator).double()
    votes[:, 1] += 1
    noise = torch.randn(items, n_categories, generator=generator, dtype=torch.float64)
    label_dist = votes / votes.sum(-1, keepdim=True)
    return label_dist, (3 * label_dist + noise).softmax(-1)


@pytest.mark.parametrize("name", BY_HAND)
def test_the_number_worked_out_by_hand(name: str) -> None:
    assert values(P, Q)[name] == pytest.approx(BY_HAND[name], abs=1e-9)


def test_label_metrics_agree_with_sklearn() -> None:
    label_dist, predicted_dist = random_pair()
    predicted_dist = predicted_dist * torch.tensor([1.0, 1, 1, 1e-9, 1])  # one class is never predicted
    predicted_dist /= predicted_dist.sum(-1, keepdim=True)
    found = values(label_dist, predicted_dist)
    target, guess = label_dist.argmax(-1).numpy(), predicted_dist.argmax(-1).numpy()
    assert found["accuracy"] == pytest.approx(accuracy_score(target, guess))
    assert found["f1_macro"] == pytest.approx(f1_score(target, guess, average="macro"))
    assert found["f1_weighted"] == pytest.approx(f1_score(target, guess, average="weighted"))


def test_macro_f1_leaves_out_a_class_that_is_neither_target_nor_prediction() -> None:
    label_dist, predicted_dist = torch.eye(4)[[0, 1, 1]].double(), torch.eye(4)[[0, 1, 0]].double()
    assert values(label_dist, predicted_dist)["f1_macro"] == pytest.approx(2 / 3)
    assert f1_score([0, 1, 1], [0, 1, 0], average="macro") == pytest.approx(2 / 3)


def test_correlations_and_r2_agree_with_scipy_and_sklearn() -> None:
    label_dist, predicted_dist = random_pair()
    p, q = label_dist.numpy(), predicted_dist.numpy()
    found = values(label_dist, predicted_dist)
    assert found["r2_pearson"] == pytest.approx(pearsonr(p.ravel(), q.ravel()).statistic ** 2)
    assert found["r2_score"] == pytest.approx(r2_score(p.ravel(), q.ravel()))
    by_item = [pearsonr(a, b).statistic ** 2 if a.std() > 0 else 0.0 for a, b in zip(p, q, strict=True)]
    assert found["r2_pearson_item"] == pytest.approx(np.mean(by_item))
    entropies = pearsonr(entropy(p, axis=-1), entropy(q, axis=-1)).statistic
    assert found["entropy_correlation"] == pytest.approx(entropies)


def test_divergences_agree_with_scipy_and_torchmetrics() -> None:
    label_dist, predicted_dist = random_pair()
    found = values(label_dist, predicted_dist)
    distance = jensenshannon(label_dist.numpy(), predicted_dist.numpy(), base=2, axis=-1)
    assert found["js_dist_bits"] == pytest.approx(distance.mean())
    assert found["js_div_bits"] == pytest.approx((distance**2).mean())
    assert found["kl"] == pytest.approx(entropy(label_dist.numpy(), predicted_dist.numpy(), axis=-1).mean())
    positive = label_dist * 0.99 + 0.002
    assert values(positive, predicted_dist)["kl"] == pytest.approx(
        float(KLDivergence()(positive, predicted_dist))
    )
    smoothed = (predicted_dist + 0.001) / 1.005
    assert found["kl_smoothed"] == pytest.approx(
        entropy(label_dist.numpy(), smoothed.numpy(), axis=-1).mean()
    )


def test_ece_against_the_majority_agrees_with_torchmetrics_with_15_bins() -> None:
    label_dist, predicted_dist = random_pair()
    oracle = MulticlassCalibrationError(num_classes=5, n_bins=15, norm="l1")
    wanted = float(oracle(predicted_dist, label_dist.argmax(-1)))
    assert values(label_dist, predicted_dist)["ece_majority"] == pytest.approx(wanted, abs=1e-6)


def test_ece_against_people_compares_with_the_share_that_chose_the_top_class() -> None:
    # 0.40 and 0.45 share the bin [6/15, 7/15) and their gaps cancel; 0.39 is in the bin below and does not
    top = [0.40, 0.45, 0.39]
    share = [0.30, 0.55, 0.50]
    predicted = torch.tensor([[t, (1 - t) / 2, (1 - t) / 2] for t in top], dtype=torch.float64)
    label_dist = torch.tensor([[s, 1 - s, 0.0] for s in share], dtype=torch.float64)
    assert values(label_dist[:2], predicted[:2])["ece_human"] == pytest.approx(0)
    assert values(label_dist, predicted)["ece_human"] == pytest.approx(0.11 / 3)
    assert values(label_dist, predicted)["overconfidence"] == pytest.approx(-0.11 / 3)


def test_the_topmost_bin_holds_a_confidence_of_1() -> None:
    sure = torch.tensor([[1.0, 0.0], [0.95, 0.05]], dtype=torch.float64)
    label_dist = torch.tensor([[0.9, 0.1], [1.0, 0.0]], dtype=torch.float64)
    assert values(label_dist, sure)["ece_human"] == pytest.approx(0.05 / 2)


def test_kl_is_infinite_where_a_chosen_class_has_no_probability() -> None:
    found = values(Q, P)
    assert found["kl"] == math.inf
    assert math.isfinite(found["kl_smoothed"])


def test_constant_predictions_explain_nothing_and_have_no_entropy_correlation() -> None:
    label_dist, _ = random_pair()
    uniform = torch.full_like(label_dist, 0.2)
    found = values(label_dist, uniform)
    assert (found["r2_pearson_item"], found["r2_pearson"]) == (0, 0)
    assert math.isnan(found["entropy_correlation"])
    assert math.isnan(values(uniform, label_dist)["r2_score"])
