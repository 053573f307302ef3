"""Brier score as a sum over the classes."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import brier_sum
from lalm_ambig.metrics.base import DistributionMetric, counted, mean_of


class BrierSum(DistributionMetric):
    """Σ over classes of (p − p̂)², in [0, 2], averaged over items."""

    name = "brier_sum"
    label = "Brier (sum) ↓"
    higher_is_better = False
    bounds = (0.0, 2.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return counted(brier_sum(label_dist, predicted_dist))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)
