r"""Mathematics of categorical distributions: the only place where entropies and divergences are written down.

Throughout, $p$ is the target, the distribution of human judgements, $\hat p$ the prediction, and $C$ the number of
classes. Every function takes float tensors whose last axis is the classes. It computes in float32, or in float64 where
it is given that, and takes $0 \log 0$ as 0. A row that is not a distribution is an error; it is never rescaled.

The equations are cited from two papers, *ambiguity-aware LALM* and *SHALA-LLM*: see `docs/reproduce/papers.md`.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

SUM_TOLERANCE = 4e-3
"""Largest distance of a row's sum from 1. A softmax row rounded to bfloat16 is off by up to 2⁻⁸ of its sum."""
CONSTANT_BELOW = 1e-12
"""Sum of squared deviations from the mean below which a vector is constant. A uniform float32 softmax row, with its
rounding errors, stays below it."""
SMOOTHING = 1e-3
"""ε of `smoothed`: added to every class of a verbalised distribution before a KL, since such a distribution often has
zeros. The value is ours; the papers give none."""
AMBIGUITY_LEVELS = ("low", "medium", "high")
AMBIGUITY_EDGES = (0.33, 0.66)
"""Edges of the levels in normalised entropy: [0, 0.33), [0.33, 0.66) and [0.66, 1]. SHALA-LLM, App. C.2.1; its Table 8
counts the items of each level."""


def check_distribution(rows: Float[Tensor, "*batch category"], name: str = "distribution") -> None:
    """Refuse rows that are not distributions.

    Args:
        rows: Distributions over the last axis, in any float type.
        name: How the message calls them.

    Raises:
        ValueError: A row has a negative number or a NaN, or its sum differs from 1 by more than `SUM_TOLERANCE`. The
            message names the first such row.

    >>> check_distribution(torch.tensor([[0.5, 0.5], [0.5, 0.4]]))
    Traceback (most recent call last):
    ValueError: distribution: row [1] is not a distribution: [0.5, 0.4] sums to 0.9000; rows must be ...
    """
    rows = _float(rows)
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


def deviation_between_items(rows: Float[Tensor, "item category"]) -> Float[Tensor, ""]:
    r"""Standard deviation of predictions between items, in [0, 0.5]; 0 where all items have the same prediction.

    $$\sqrt{\frac1C \sum_c \operatorname{Var}_n(\hat p_{n,c})}$$

    Args:
        rows: One distribution per item; they are not checked.

    Returns:
        A scalar; the variance over the items $n$ is divided by their number.

    >>> deviation_between_items(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item()
    0.5
    """
    return _float(rows).var(0, correction=0).mean().sqrt()


def entropy(p: Float[Tensor, "*batch category"]) -> Float[Tensor, "*batch"]:
    r"""Shannon entropy in nats, in [0, log C].

    $$H(p) = -\sum_c p_c \log p_c$$

    Args:
        p: Distributions over the last axis.

    Returns:
        The entropy of each row.

    Raises:
        ValueError: A row is not a distribution.

    >>> round(entropy(torch.tensor([0.5, 0.25, 0.25])).item(), 4)
    1.0397
    """
    p = _float(p)
    check_distribution(p)
    return -_plogq(p, p)


def normalised_entropy(p: Float[Tensor, "*batch category"]) -> Float[Tensor, "*batch"]:
    r"""Entropy over its largest value, in [0, 1]: the ambiguity of an item (SHALA-LLM, eq. 9).

    $$\tilde H(p) = \frac{-\sum_c p_c \log p_c}{\log C}$$

    Args:
        p: Distributions over the last axis.

    Returns:
        The normalised entropy of each row: 0 where all votes agree, 1 where every class has as many.

    Raises:
        ValueError: A row is not a distribution.

    >>> normalised_entropy(torch.tensor([0.5, 0.5, 0.0, 0.0])).item()
    0.5
    """
    return entropy(p) / math.log(p.shape[-1])


def kl(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Forward Kullback-Leibler divergence in nats, in [0, ∞] (ambiguity-aware LALM, eq. 2).

    $$\mathrm{KL}(p \,\|\, \hat p) = \sum_c p_c \log \frac{p_c}{\hat p_c}$$

    The paper writes $D_{\mathrm{KL}}(\hat p \,\|\, p)$ on the left of its equation. We follow the sum on the right.

    Args:
        target: $p$.
        predicted: $\hat p$.

    Returns:
        The divergence of each row; ∞ where a class with target mass has prediction 0.

    Raises:
        ValueError: A row of either is not a distribution, or their numbers of classes differ.

    >>> round(kl(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])).item(), 4)
    0.1438
    """
    target, predicted = _checked(target, predicted)
    return _plogq(target, target) - _plogq(target, predicted)


def kl_from_logits(
    target: Float[Tensor, "*batch category"], category_logits: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Divergence of a softmax from the target in nats, in [0, ∞): the loss $L_{dist}$ of ambiguity-aware LALM, eq. 2.

    $$\mathrm{KL}\big(p \,\|\, \operatorname{softmax}(z)\big)
    = \sum_c p_c \big(\log p_c - \operatorname{logsoftmax}(z)_c\big)$$

    It has a gradient, $\operatorname{softmax}(z) - p$, also where the softmax underflows. A class whose logit is −∞
    costs nothing where the target has no mass on it.

    Args:
        target: $p$.
        category_logits: $z$, one logit per class.

    Returns:
        The divergence of each row.

    Raises:
        ValueError: A row of the target is not a distribution, or the numbers of classes differ.

    >>> round(kl_from_logits(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0])).item(), 4)
    0.6931
    """
    if target.shape[-1] != category_logits.shape[-1]:
        raise ValueError(
            f"target has {target.shape[-1]} classes, category_logits has {category_logits.shape[-1]}"
        )
    target = _float(target)
    check_distribution(target, "target")
    log_predicted = torch.log_softmax(_float(category_logits), dim=-1)
    cross = torch.where(target > 0, target * log_predicted, torch.zeros_like(log_predicted))
    return _plogq(target, target) - cross.sum(-1)


def js_divergence(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Jensen-Shannon divergence in bits, in [0, 1]: "JS" of ambiguity-aware LALM, Table 2.

    $$\mathrm{JS}(p, \hat p) = \tfrac12 \mathrm{KL}_2(p \,\|\, m) + \tfrac12 \mathrm{KL}_2(\hat p \,\|\, m),
    \quad m = \frac{p + \hat p}{2}$$

    Args:
        target: $p$.
        predicted: $\hat p$.

    Returns:
        The divergence of each row, 1 for disjoint distributions; the arguments are interchangeable.

    Raises:
        ValueError: A row of either is not a distribution, or their numbers of classes differ.

    >>> round(js_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])).item(), 4)
    0.3113
    """
    target, predicted = _checked(target, predicted)
    middle = (target + predicted) / 2
    to_target = _plogq(target, target) - _plogq(target, middle)
    to_predicted = _plogq(predicted, predicted) - _plogq(predicted, middle)
    return ((to_target + to_predicted) / (2 * math.log(2))).clamp(0, 1)


def js_distance(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Jensen-Shannon distance, in [0, 1]: "JSD" of SHALA-LLM, App. E, and $D_{JS}$ of its eq. 8.

    $$D_{\mathrm{JS}}(p, \hat p) = \sqrt{\mathrm{JS}(p, \hat p)}$$

    Args:
        target: $p$.
        predicted: $\hat p$.

    Returns:
        The distance of each row, with the divergence in bits; the arguments are interchangeable.

    Raises:
        ValueError: A row of either is not a distribution, or their numbers of classes differ.

    >>> round(js_distance(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])).item(), 4)
    0.5579
    """
    return js_divergence(target, predicted).sqrt()


def bhattacharyya(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Bhattacharyya coefficient, in [0, 1]: "BC" of both papers (SHALA-LLM, App. E).

    $$\mathrm{BC}(p, \hat p) = \sum_c \sqrt{p_c \, \hat p_c}$$

    Args:
        target: $p$.
        predicted: $\hat p$.

    Returns:
        The coefficient of each row: 1 for equal distributions, 0 for disjoint ones.

    Raises:
        ValueError: A row of either is not a distribution, or their numbers of classes differ.

    >>> round(bhattacharyya(torch.tensor([1.0, 0.0]), torch.tensor([0.64, 0.36])).item(), 4)
    0.8
    """
    target, predicted = _checked(target, predicted)
    return (target * predicted).sqrt().sum(-1).clamp(0, 1)


def brier_sum(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Brier score summed over the classes, in [0, 2].

    $$\sum_c (p_c - \hat p_c)^2$$

    Args:
        target: $p$.
        predicted: $\hat p$.

    Returns:
        The score of each row; 0 for equal distributions.

    Raises:
        ValueError: A row of either is not a distribution, or their numbers of classes differ.

    >>> brier_sum(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])).item()
    0.5
    """
    target, predicted = _checked(target, predicted)
    return (target - predicted).square().sum(-1)


def brier_mean(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Brier score per class, in [0, 2/C]: "Brier" of ambiguity-aware LALM, Table 2.

    $$\frac1C \sum_c (p_c - \hat p_c)^2$$

    Args:
        target: $p$.
        predicted: $\hat p$.

    Returns:
        The score of each row. The paper gives no formula; that it prints this mean is our reading of its numbers.

    Raises:
        ValueError: A row of either is not a distribution, or their numbers of classes differ.

    >>> brier_mean(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])).item()
    0.25
    """
    return brier_sum(target, predicted) / target.shape[-1]


def majority(p: Float[Tensor, "*batch category"]) -> Int[Tensor, "*batch"]:
    r"""Index of the largest class (SHALA-LLM, eq. 12); the first one on a tie, which is our decision.

    $$y^* = \arg\max_c p_c$$

    Args:
        p: Distributions over the last axis; they are not checked.

    Returns:
        The index in each row.

    >>> majority(torch.tensor([[0.2, 0.4, 0.4], [0.6, 0.1, 0.3]])).tolist()
    [1, 0]
    """
    return p.argmax(dim=-1)


def squared_pearson(
    target: Float[Tensor, "*batch category"], predicted: Float[Tensor, "*batch category"]
) -> Float[Tensor, "*batch"]:
    r"""Squared Pearson correlation between the two vectors of a row, in [0, 1]; 0 where one of them is constant.

    $$r^2 = \frac{\big(\sum_c (p_c - \tfrac1C)(\hat p_c - \tfrac1C)\big)^2}
    {\sum_c (p_c - \tfrac1C)^2 \, \sum_c (\hat p_c - \tfrac1C)^2}$$

    Args:
        target: $p$.
        predicted: $\hat p$.

    Returns:
        The squared correlation of each row over its classes, whose mean is 1/C.

    Raises:
        ValueError: A row of either is not a distribution, or their numbers of classes differ.

    >>> round(squared_pearson(torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.6, 0.1, 0.3])).item(), 4)
    0.4681
    """
    target, predicted = _checked(target, predicted)
    x = target - target.mean(-1, keepdim=True)
    y = predicted - predicted.mean(-1, keepdim=True)
    xx, yy, xy = x.square().sum(-1), y.square().sum(-1), (x * y).sum(-1)
    varies = (xx > CONSTANT_BELOW) & (yy > CONSTANT_BELOW)
    return torch.where(varies, xy.square() / (xx * yy).clamp_min(CONSTANT_BELOW**2), 0.0).clamp(0, 1)


def smoothed(predicted: Float[Tensor, "*batch category"]) -> Float[Tensor, "*batch category"]:
    r"""A distribution without zeros, for the KL of verbalised distributions only.

    $$\frac{\hat p_c + \varepsilon}{1 + C \varepsilon}, \quad \varepsilon = 10^{-3}$$

    Args:
        predicted: $\hat p$.

    Returns:
        Distributions of the same shape, every class at least ε / (1 + Cε).

    Raises:
        ValueError: A row is not a distribution.

    >>> smoothed(torch.tensor([1.0, 0.0], dtype=torch.float64)).numpy().round(4).tolist()
    [0.999, 0.001]
    """
    predicted = _float(predicted)
    check_distribution(predicted, "predicted")
    return (predicted + SMOOTHING) / (1 + predicted.shape[-1] * SMOOTHING)


def ambiguity_level(p: Float[Tensor, "*batch category"]) -> Int[Tensor, "*batch"]:
    """Index into `AMBIGUITY_LEVELS` by normalised entropy, in {0, 1, 2} (SHALA-LLM, App. C.2.1 and Table 8).

    Args:
        p: Distributions over the last axis.

    Returns:
        The level of each row: 0 is low, 1 medium, 2 high. An edge belongs to the level above it.

    Raises:
        ValueError: A row is not a distribution.

    >>> ambiguity_level(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.6, 0.4]])).tolist()
    [0, 1, 2]
    """
    edges = torch.tensor(AMBIGUITY_EDGES, dtype=torch.float64, device=p.device)
    return torch.bucketize(normalised_entropy(p.double()), edges, right=True)
