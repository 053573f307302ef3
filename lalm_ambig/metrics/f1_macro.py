"""Macro F1 on the largest class (paper B, App. E)."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.metrics.f1_counts import class_f1, label_counts, missed_counts


class F1Macro(DistributionMetric):
    """Unweighted mean of the classes' F1, in [0, 1], over classes that are a target or a prediction of some
    item.

    This is scikit-learn's convention; a class of the corpus that neither has is left out, not counted as 0.
    A response that could not be read misses its class and predicts none.
    """

    name = "f1_macro"
    label = "F1 (macro) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return label_counts(label_dist, predicted_dist)

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        return missed_counts(label_dist)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        f1, seen, _ = class_f1(sums)
        return f1.sum(-1) / (seen > 0).sum(-1)
