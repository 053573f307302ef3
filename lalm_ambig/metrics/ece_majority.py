"""Calibration of the top class against the majority label: the usual expected calibration error."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import majority
from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.metrics.calibration_bins import binned_gap, calibration_error


class EceMajority(DistributionMetric):
    """Expected |p̂[ŷ] − share of right labels| over 15 bins of p̂[ŷ], in [0, 1].

    A model that equals the people, p̂ = p, is *not* calibrated in this sense: it says 0.6 and is always
    right. So 0 is not the value of a perfect prediction here, and the metric is for comparison with the
    literature. A response that could not be read says 1/C and is wrong.
    """

    name = "ece_majority"
    label = "ECE (majority) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)

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
