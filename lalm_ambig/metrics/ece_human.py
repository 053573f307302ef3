"""Calibration of the top class against the share of people who chose it."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import majority
from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.metrics.calibration_bins import binned_gap, calibration_error


class EceHuman(DistributionMetric):
    """Expected |p̂[ŷ] − p[ŷ]| over 15 bins of p̂[ŷ], in [0, 1], where ŷ is the model's largest class (SPEC
    3)."""

    name = "ece_human"
    label = "ECE (human) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        top = majority(predicted_dist).unsqueeze(-1)
        return binned_gap(predicted_dist.gather(-1, top)[:, 0], label_dist.gather(-1, top)[:, 0])

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return calibration_error(sums)
