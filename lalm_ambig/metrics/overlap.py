r"""What two distributions share, class by class: the measures of the community that learns with disagreements."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.metrics.base import ItemMean


class Manhattan(ItemMean):
    r"""Manhattan distance $\sum_c |p_c - \hat p_c|$, in [0, 2]: the soft score of *LeWiDi 2025* for nominal classes.

    The shared task rounds each item to five digits; this metric does not (`metrics.shared_task` has its definition).

    >>> metric = Manhattan(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.75, 0.25]]))
    >>> metric.compute().item()
    0.5
    """

    name = "manhattan"
    label = "Manhattan ↓"
    higher_is_better = False
    bounds = (0.0, 2.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return (label_dist - predicted_dist).abs().sum(-1)


class SoftAccuracy(ItemMean):
    r"""Soft accuracy $\sum_c \min(p_c, \hat p_c)$, in [0, 1]: Kurniawan et al. (2025), arXiv:2502.01891.

    For distributions it equals their soft micro-F1, and $1 - \tfrac12$ `manhattan`.

    >>> metric = SoftAccuracy(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.75, 0.25]]))
    >>> metric.compute().item()
    0.75
    """

    name = "soft_accuracy"
    label = "Soft acc. ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return torch.minimum(label_dist, predicted_dist).sum(-1)
