"""Coefficient of determination over all item-class pairs."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.metrics.moments import CONSTANT_VARIANCE, covariances, moments


class R2Score(DistributionMetric):
    """1 − Σ(p − p̂)² / Σ(p − mean p)² over all item-class pairs, in (−∞, 1]; NaN where every p is the same
    number."""

    name = "r2_score"
    label = "R² (1−SSE/SST) ↑"
    higher_is_better = True
    bounds = (float("-inf"), 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        squared_error = (label_dist - predicted_dist).square().sum(-1, keepdim=True)
        return torch.cat([moments(label_dist, predicted_dist), squared_error], dim=-1)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        variance, _, _ = covariances(sums[..., :6])
        unexplained = sums[..., 6] / sums[..., 0] / variance.clamp_min(CONSTANT_VARIANCE)
        return torch.where(variance > CONSTANT_VARIANCE, 1 - unexplained, torch.nan)
