"""Accuracy of the largest class."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import majority
from lalm_ambig.metrics.base import DistributionMetric, counted, mean_of


class Accuracy(DistributionMetric):
    """Share of items whose largest class is the majority label, in [0, 1]; ties go to the first class (SPEC
    1). A response that could not be read is wrong."""

    name = "accuracy"
    label = "Acc. ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return counted((majority(label_dist) == majority(predicted_dist)).to(label_dist.dtype))

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        return counted(torch.zeros_like(label_dist[:, 0]))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)
