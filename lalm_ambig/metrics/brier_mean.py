"""Brier score of the papers' tables: the mean over items and classes."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import brier_mean
from lalm_ambig.metrics.base import DistributionMetric, counted, mean_of


class BrierMean(DistributionMetric):
    """Mean over items and classes of (p − p̂)², in [0, 2/C] (SPEC 3)."""

    name = "brier_mean"
    label = "Brier (mean) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return counted(brier_mean(label_dist, predicted_dist))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)
