"""Jensen-Shannon divergence in bits: "JS" of paper A."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import js_divergence
from lalm_ambig.metrics.base import DistributionMetric, counted, mean_of


class JsDivergence(DistributionMetric):
    """Base-2 Jensen-Shannon divergence in bits, in [0, 1], averaged over items; NaN without items."""

    name = "js_div_bits"
    label = "JS (base 2) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return counted(js_divergence(label_dist, predicted_dist))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)
