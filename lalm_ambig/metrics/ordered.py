r"""Metrics of classes that are the steps of a scale: how far a prediction is off, in steps.

Classes stand at the positions 0 to C-1. $F$ and $\hat F$ are the cumulative sums of target and prediction. These
metrics are computed for corpora with ordered classes alone (`CategorySet.ordered`).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.metrics.base import ItemMean


class OrderedMean(ItemMean):
    """A mean over items that has a meaning only where classes have an order."""

    needs_order = True
    higher_is_better = False


class Wasserstein(OrderedMean):
    r"""Wasserstein distance over positions, $\sum_k |F_k - \hat F_k|$, in steps, in [0, C-1].

    It is the least work of moving the prediction's mass to the target's, where a step costs 1 per unit of mass. The
    shared task of 2025 scores its two ordinal sets by it (*LeWiDi 2025*).

    >>> metric = Wasserstein(3)
    >>> metric.update(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.5]]))
    >>> metric.compute().item()
    1.0
    """

    name = "wasserstein"
    label = "Wasserstein ↓"
    bounds = (0.0, float("inf"))

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return cumulative_difference(label_dist, predicted_dist).abs().sum(-1)


class RankedProbabilityScore(OrderedMean):
    r"""Ranked probability score $\frac{1}{C-1} \sum_k (F_k - \hat F_k)^2$, in [0, 1].

    Epstein's score, with the distribution of people in place of one outcome.

    >>> metric = RankedProbabilityScore(3)
    >>> metric.update(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.5]]))
    >>> metric.compute().item()
    0.25
    """

    name = "rps"
    label = "RPS ↓"
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        squares = cumulative_difference(label_dist, predicted_dist).square().sum(-1)
        return squares / (label_dist.shape[-1] - 1)


class MeanAbsoluteErrorOfMean(OrderedMean):
    r"""Absolute error of the mean position, $|\sum_k k (p_k - \hat p_k)|$, in steps, in [0, C-1].

    It is 0 also for a prediction of the right mean and the wrong spread; `wasserstein` is never smaller.

    >>> metric = MeanAbsoluteErrorOfMean(3)
    >>> metric.update(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.5]]))
    >>> metric.compute().item()
    1.0
    """

    name = "mae_mean"
    label = "MAE of mean ↓"
    bounds = (0.0, float("inf"))

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        positions = torch.arange(label_dist.shape[-1], dtype=label_dist.dtype)
        return ((label_dist - predicted_dist) @ positions).abs()


def cumulative_difference(
    label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
) -> Float[Tensor, "item category"]:
    r"""$F_k - \hat F_k$ at each position but the last, where both are 1 and the difference is set to 0."""
    difference = (label_dist - predicted_dist).cumsum(-1)
    difference[..., -1] = 0
    return difference
