"""Forward KL divergence to a smoothed prediction, for readouts that hold zeros."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import kl, smoothed
from lalm_ambig.metrics.base import DistributionMetric, counted, mean_of


class SmoothedKl(DistributionMetric):
    """KL(p ‖ (p̂ + ε)/(1 + Cε)) in nats with ε = 1e-3, averaged over items: always finite (SPEC 2).

    At most log((1 + Cε)/ε), 6.9 nats for a few classes; a perfect prediction has slightly more than 0.
    """

    name = "kl_smoothed"
    label = "KL (ε=1e-3) ↓"
    higher_is_better = False
    bounds = (0.0, float("inf"))

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return counted(kl(label_dist, smoothed(predicted_dist)).clamp_min(0))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)
