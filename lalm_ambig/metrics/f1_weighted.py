"""Weighted F1 on the largest class (paper B, App. E)."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.metrics.f1_counts import class_f1, label_counts, missed_counts


class F1Weighted(DistributionMetric):
    """Mean of the classes' F1, in [0, 1], weighted by how many items have the class as majority label.

    A response that could not be read misses its class and predicts none.
    """

    name = "f1_weighted"
    label = "F1 (weighted) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return label_counts(label_dist, predicted_dist)

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        return missed_counts(label_dist)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        f1, _, target = class_f1(sums)
        return (f1 * target).sum(-1) / target.sum(-1)
