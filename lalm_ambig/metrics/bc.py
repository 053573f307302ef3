"""Bhattacharyya coefficient: "BC" of both papers."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import bhattacharyya
from lalm_ambig.metrics.base import DistributionMetric, counted, mean_of


class BhattacharyyaCoefficient(DistributionMetric):
    """Σ √(p p̂) in [0, 1], averaged over items."""

    name = "bc"
    label = "BC ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return counted(bhattacharyya(label_dist, predicted_dist))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)
