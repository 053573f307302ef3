"""Squared Pearson correlation over all item-class pairs."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.metrics.moments import correlation, moments


class R2Pearson(DistributionMetric):
    """Squared Pearson correlation between p and p̂ over all item-class pairs, in [0, 1].

    0 where either is constant over all pairs, as for a single item: a constant explains nothing. NaN without
    items.
    """

    name = "r2_pearson"
    label = "R² (pairs) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return moments(label_dist, predicted_dist)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return correlation(sums).square().nan_to_num(nan=0.0).where(sums[..., 0] > 0, float("nan"))
