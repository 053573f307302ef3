"""Squared Pearson correlation of each item, averaged: the R² set beside paper A's."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import squared_pearson
from lalm_ambig.metrics.base import DistributionMetric, counted, mean_of


class R2PearsonItem(DistributionMetric):
    """Squared Pearson correlation between an item's two class vectors, in [0, 1], averaged over items.

    An item with a constant vector (a uniform p or p̂) counts as 0 (SPEC 3).
    """

    name = "r2_pearson_item"
    label = "R² (item) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return counted(squared_pearson(label_dist, predicted_dist))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)
