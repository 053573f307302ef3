"""Does the model's uncertainty follow the people's? Correlation of the two entropies."""

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import entropy
from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.metrics.moments import correlation, moments


class EntropyCorrelation(DistributionMetric):
    """Pearson correlation between H(p) and H(p̂) over items, in [−1, 1]; NaN where one is the same for all
    items."""

    name = "entropy_correlation"
    label = "r(H, Ĥ) ↑"
    higher_is_better = True
    bounds = (-1.0, 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return moments(entropy(label_dist), entropy(predicted_dist))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return correlation(sums)
