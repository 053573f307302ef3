"""Forward KL divergence in nats: L_dist of paper A as a metric."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import kl
from lalm_ambig.metrics.base import DistributionMetric


class ForwardKl(DistributionMetric):
    """KL(p ‖ p̂) in nats, in [0, ∞], averaged over items.

    Infinite as soon as one item has p̂ = 0 on a class with votes; never clipped. A softmax readout is never
    0; a verbalised one often is, and has `kl_smoothed`. Infinite items are counted apart, so that resamples
    without them stay finite.
    """

    name = "kl"
    label = "KL ↓"
    higher_is_better = False
    bounds = (0.0, float("inf"))

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        divergence = kl(label_dist, predicted_dist).clamp_min(0)
        infinite = divergence.isinf()
        finite_part = divergence.masked_fill(infinite, 0)
        return torch.stack([finite_part, infinite.to(divergence.dtype), torch.ones_like(divergence)], dim=-1)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return torch.where(sums[..., 1] > 0, torch.inf, sums[..., 0] / sums[..., 2])
