r"""Calibration of the model's largest class $\hat y$: its probability against what was observed.

The errors bin items by $\hat p_{\hat y}$ in 15 equal bins; small samples bias both upwards.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from lalm_ambig.core.distributions import majority
from lalm_ambig.metrics.base import DistributionMetric, ItemMean, with_count

BINS = 15


class Overconfidence(ItemMean):
    r"""Mean of $\hat p_{\hat y} - p_{\hat y}$, in [−1, 1]: above 0, answers are surer than people agree.

    It is a mean over items and so has an interval, which calibration errors over bins do not. Errors in both
    directions cancel. A response that could not be read is sure of nothing and counts 0.

    >>> metric = Overconfidence(2)
    >>> metric.update(torch.tensor([[0.7, 0.3]]), torch.tensor([[0.9, 0.1]]))
    >>> round(metric.compute().item(), 4)
    0.2
    """

    name = "overconfidence"
    label = "Overconf."
    higher_is_better = None
    bounds = (-1.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        top = majority(predicted_dist).unsqueeze(-1)
        return (predicted_dist.gather(-1, top) - label_dist.gather(-1, top))[:, 0]

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        return with_count(torch.zeros_like(label_dist[:, 0]))


class EceHuman(DistributionMetric):
    r"""Calibration error against people's votes, in [0, 1]: $\mathbb{E}\,|\hat p_{\hat y} - p_{\hat y}|$ over bins.

    A perfect prediction scores 0.

    >>> metric = EceHuman(2)
    >>> metric.update(torch.tensor([[0.7, 0.3]]), torch.tensor([[0.9, 0.1]]))
    >>> round(metric.compute().item(), 4)
    0.2
    """

    name = "ece_human"
    label = "ECE (human) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)
    kind = "binned"

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        top = majority(predicted_dist).unsqueeze(-1)
        return binned_gap(predicted_dist.gather(-1, top)[:, 0], label_dist.gather(-1, top)[:, 0])

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return calibration_error(sums)


class EceMajority(DistributionMetric):
    r"""Calibration error against the majority label, in [0, 1]: the usual expected calibration error.

    A model that equals the people, $\hat p = p$, is *not* calibrated in this sense: it says 0.6 and is always right.
    So a perfect prediction does not score 0, and the metric is only for comparison with the literature. A response
    that could not be read says 1/C and is wrong.

    >>> metric = EceMajority(2)
    >>> metric.update(torch.tensor([[0.7, 0.3]]), torch.tensor([[0.9, 0.1]]))
    >>> round(metric.compute().item(), 4)
    0.1
    """

    name = "ece_majority"
    label = "ECE (majority) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)
    kind = "binned"

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        top = majority(predicted_dist)
        right = (top == majority(label_dist)).to(predicted_dist.dtype)
        return binned_gap(predicted_dist.gather(-1, top.unsqueeze(-1))[:, 0], right)

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        confidence = torch.full_like(label_dist[:, 0], 1 / label_dist.shape[-1])
        return binned_gap(confidence, torch.zeros_like(confidence))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return calibration_error(sums)


def binned_gap(
    confidence: Float[Tensor, " item"], observed: Float[Tensor, " item"]
) -> Float[Tensor, "item statistic"]:
    """Rows of 15 equal bins of the confidence, [b/15, (b+1)/15), the last one closed.

    The item's bin holds confidence − observed. A last column of 1 counts the items.
    """
    index = (confidence * BINS).long().clamp(0, BINS - 1)
    gap = one_hot(index, BINS) * (confidence - observed).unsqueeze(-1)
    return torch.cat([gap, torch.ones_like(gap[..., :1])], dim=-1)


def calibration_error(sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
    """Σ over bins of (share of items) · |mean confidence − mean observed|, in [0, 1]; NaN without items."""
    return sums[..., :BINS].abs().sum(-1) / sums[..., BINS]
