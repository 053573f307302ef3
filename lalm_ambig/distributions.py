"""Maths on categorical distributions: the only place where entropies and divergences are written down.

Every function takes float tensors whose last axis is the classes, works in float32 or better whatever it is given,
and treats 0·log 0 as 0. A row that is not a distribution is an error, never rescaled.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

SUM_TOLERANCE = 1e-3
"""How far a row's sum may be from 1: half-precision softmax rows of a few classes stay well inside."""


def check_distribution(rows: Float[Tensor, "*batch category"], name: str = "distribution") -> None:
    """Raise ValueError that names the first row which is not a distribution (negative, NaN, sum ≠ 1)."""
    wrong = ~((rows >= 0).all(-1) & ((rows.sum(-1) - 1).abs() <= SUM_TOLERANCE))
    if bool(wrong.any()):
        index = tuple(int(i) for i in wrong.nonzero()[0])
        row = [round(float(x), 4) for x in rows[index]]
        raise ValueError(
            f"{name}: row {list(index)} is not a distribution: {row} sums to {float(rows[index].sum()):.4f}; "
            "rows must be non-negative and sum to 1"
        )


def _float(rows: Tensor) -> Tensor:
    return rows if rows.dtype == torch.float64 else rows.float()


def _plogq(p: Tensor, q: Tensor) -> Tensor:
    """Σ p log q over the classes, in nats, with 0·log 0 = 0 and p·log 0 = −∞."""
    return torch.where(p > 0, p * q.log(), torch.zeros_like(p)).sum(-1)


def _checked(target: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    if target.shape[-1] != predicted.shape[-1]:
        raise ValueError(f"target has {target.shape[-1]} classes, predicted has {predicted.shape[-1]}")
    target, predicted = _float(target), _float(predicted)
    check_distribution(target, "target")
    check_distribution(predicted, "predicted")
    return target, predicted


def entropy(p: Float[Tensor, "*batch category"]) -> Float[Tensor, "*batch"]:
    """Shannon entropy H(p) in nats, in [0, log C]."""
    p = _float(p)
    check_distribution(p)
    return -_plogq(p, p)


def normalised_entropy(p: Float[Tensor, "*batch category"]) -> Float[Tensor, "*batch"]:
    """H(p) / log C in [0, 1]: the ambiguity of an item, B(9)."""
    return entropy(p) / math.log(p.shape[-1])


def kl(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    """Forward divergence KL(target ‖ predicted) in nats, in [0, ∞]: the sum in A(2)."""
    target, predicted = _checked(target, predicted)
    return _plogq(target, target) - _plogq(target, predicted)


def kl_from_logits(
    target: Float[Tensor, "*batch category"], category_logits: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    """KL(target ‖ softmax(category_logits)) in nats: L_dist of A(2), through log-softmax so that it has a gradient
    wherever the softmax underflows."""
    target = _float(target)
    check_distribution(target, "target")
    log_predicted = torch.log_softmax(_float(category_logits), dim=-1)
    return _plogq(target, target) - (target * log_predicted).sum(-1)


def js_divergence(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    """Jensen-Shannon divergence in bits, in [0, 1]: paper A's JS. Symmetric."""
    target, predicted = _checked(target, predicted)
    middle = (target + predicted) / 2
    to_target = _plogq(target, target) - _plogq(target, middle)
    to_predicted = _plogq(predicted, predicted) - _plogq(predicted, middle)
    return ((to_target + to_predicted) / (2 * math.log(2))).clamp(0, 1)


def js_distance(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    """Square root of the base-2 Jensen-Shannon divergence, in [0, 1]: paper B's JSD."""
    return js_divergence(target, predicted).sqrt()


def bhattacharyya(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    """Bhattacharyya coefficient Σ √(p p̂), in [0, 1]; 1 for equal distributions."""
    target, predicted = _checked(target, predicted)
    return (target * predicted).sqrt().sum(-1).clamp(0, 1)


def brier_sum(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    """Σ (p − p̂)² over the classes, in [0, 2]."""
    target, predicted = _checked(target, predicted)
    return (target - predicted).square().sum(-1)


def brier_mean(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    """Mean over the classes of (p − p̂)², in [0, 2/C]: the Brier score of the papers' tables (SPEC 3)."""
    return brier_sum(target, predicted) / target.shape[-1]


def majority(p: Float[Tensor, "*batch category"]) -> Int[Tensor, "*batch"]:
    """Index of the largest class, the first on a tie (SPEC 1)."""
    return p.argmax(dim=-1)
