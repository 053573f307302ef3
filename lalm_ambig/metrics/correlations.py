r"""How predictions follow targets: correlations and R², of an item's classes, of all item-class pairs, of entropies.

All but `r2_pearson_item` are ratios of sums over items.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import entropy, squared_pearson
from lalm_ambig.metrics.base import DistributionMetric, ItemMean, share_variance

CONSTANT_VARIANCE = 1e-10
"""A variable with a smaller variance counts as constant: rounding of float32 inputs stays below it."""


class R2PearsonItem(ItemMean):
    r"""Squared Pearson correlation between an item's two class vectors, in [0, 1], averaged over items.

    It is printed where ambiguity-aware LALM, Table 2, prints R². An item with a constant vector (a uniform $p$ or
    $\hat p$) counts as 0.

    >>> metric = R2PearsonItem(3)
    >>> metric.update(torch.tensor([[0.6, 0.3, 0.1]]), torch.tensor([[0.5, 0.3, 0.2]]))
    >>> round(metric.compute().item(), 4)
    0.9944
    """

    name = "r2_pearson_item"
    label = "R² (item) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return squared_pearson(label_dist, predicted_dist)


class R2Pearson(DistributionMetric):
    r"""Squared Pearson correlation between $p$ and $\hat p$ over all item-class pairs, in [0, 1].

    It is 0 where either is constant over all pairs, as for a single uniform item. It is NaN without items.

    >>> metric = R2Pearson(3)
    >>> metric.update(torch.tensor([[0.6, 0.3, 0.1]]), torch.tensor([[0.5, 0.3, 0.2]]))
    >>> round(metric.compute().item(), 4)
    0.9944
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


class R2Score(DistributionMetric):
    r"""Coefficient of determination over all item-class pairs, in (−∞, 1].

    $$1 - \sum (p - \hat p)^2 \,/\, \sum (p - \bar p)^2$$

    It is NaN where every $p$ is the same number.

    >>> metric = R2Score(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]))
    >>> metric.compute().item()
    0.0
    """

    name = "r2_score"
    label = "R² (1−SSE/SST) ↑"
    higher_is_better = True
    corrects_sampling = True
    bounds = (float("-inf"), 1.0)

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        squared_error = (label_dist - predicted_dist).square().sum(-1, keepdim=True)
        return torch.cat([moments(label_dist, predicted_dist), squared_error], dim=-1)

    def sampling_excess(
        self, predicted_dist: Float[Tensor, "item category"], draws: Float[Tensor, " item"]
    ) -> Float[Tensor, "item statistic"]:
        """That of the squared error; the variance of targets has none, and the other moments are not used."""
        variance = share_variance(predicted_dist, draws).sum(-1, keepdim=True)
        return torch.cat([variance.new_zeros(len(variance), 6), variance], dim=-1)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        variance, _, _ = covariances(sums[..., :6])
        unexplained = sums[..., 6] / sums[..., 0] / variance.clamp_min(CONSTANT_VARIANCE)
        return torch.where(variance > CONSTANT_VARIANCE, 1 - unexplained, torch.nan)


class EntropyCorrelation(DistributionMetric):
    r"""Pearson correlation between $H(p)$ and $H(\hat p)$ over items, in [−1, 1].

    It says whether the model is unsure where people disagree. It is NaN where one of the entropies is the same for all
    items.

    >>> metric = EntropyCorrelation(2)
    >>> target = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    >>> metric.update(target, target)
    >>> round(metric.compute().item(), 4)
    1.0
    """

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


def moments(x: Float[Tensor, " item *pair"], y: Float[Tensor, " item *pair"]) -> Float[Tensor, "item 6"]:
    """Rows (1, x, y, x², y², xy), each summed over an item's pairs."""
    terms = [torch.ones_like(x), x, y, x * x, y * y, x * y]
    return torch.stack([term.flatten(1).sum(1) if term.ndim > 1 else term for term in terms], dim=-1)


def covariances(
    sums: Float[Tensor, "*batch 6"],
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Var x, Var y and Cov(x, y), each divided by the number of pairs; NaN without pairs."""
    n, x, y, xx, yy, xy = sums.double().unbind(-1)
    return xx / n - (x / n) ** 2, yy / n - (y / n) ** 2, xy / n - (x / n) * (y / n)


def correlation(sums: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch"]:
    """Pearson correlation in [−1, 1]; NaN where one of the variables is constant."""
    var_x, var_y, cov = covariances(sums)
    varies = (var_x > CONSTANT_VARIANCE) & (var_y > CONSTANT_VARIANCE)
    return torch.where(varies, cov / (var_x * var_y).clamp_min(CONSTANT_VARIANCE**2).sqrt(), torch.nan).clamp(
        -1, 1
    )
