r"""Distances between an item's target $p$ and prediction $\hat p$, averaged over items.

Each metric states its convention in its name: base-2 divergence (`js_div_bits`), its square root (`js_dist_bits`),
Brier score per class (`brier_mean`) or summed over classes (`brier_sum`).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import (
    bhattacharyya,
    brier_mean,
    brier_sum,
    js_distance,
    js_divergence,
    kl,
    smoothed,
)
from lalm_ambig.metrics.base import DistributionMetric, ItemMean, share_variance


class JsDivergence(ItemMean):
    r"""Jensen-Shannon divergence in bits, in [0, 1]: "JS" of ambiguity-aware LALM, Table 2.

    $$\tfrac12 \mathrm{KL}_2(p \,\|\, m) + \tfrac12 \mathrm{KL}_2(\hat p \,\|\, m), \quad m = (p + \hat p)/2$$

    >>> metric = JsDivergence(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]))
    >>> round(metric.compute().item(), 4)
    0.3113
    """

    name = "js_div_bits"
    label = "JS (base 2) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return js_divergence(label_dist, predicted_dist)


class JsDistance(ItemMean):
    r"""Jensen-Shannon distance, in [0, 1]: "JSD" of SHALA-LLM, Tables 1 and 2.

    The square root of each item's divergence in bits. The mean is taken of the roots, so it is not the root of
    `js_div_bits`.

    >>> metric = JsDistance(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]))
    >>> round(metric.compute().item(), 4)
    0.5579
    """

    name = "js_dist_bits"
    label = "JSD (√, base 2) ↓"
    higher_is_better = False
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return js_distance(label_dist, predicted_dist)


class BhattacharyyaCoefficient(ItemMean):
    r"""Bhattacharyya coefficient $\sum_c \sqrt{p_c \hat p_c}$, in [0, 1]: "BC" of both papers.

    >>> metric = BhattacharyyaCoefficient(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.64, 0.36]]))
    >>> round(metric.compute().item(), 4)
    0.8
    """

    name = "bc"
    label = "BC ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return bhattacharyya(label_dist, predicted_dist)


class BrierMean(ItemMean):
    r"""Brier score per class, $\frac1C \sum_c (p_c - \hat p_c)^2$, in [0, 2/C]: the papers' tables.

    For shares $s$ of $n$ sampled labels it is that of the distribution they were drawn from, unbiased: less
    $\frac1C \sum_c s_c (1 - s_c) / (n - 1)$ (ours), which can fall below 0.

    >>> metric = BrierMean(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]))
    >>> metric.compute().item()
    0.25
    """

    name = "brier_mean"
    label = "Brier (mean) ↓"
    higher_is_better = False
    corrects_sampling = True
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return brier_mean(label_dist, predicted_dist)

    def sampling_excess(
        self, predicted_dist: Float[Tensor, "item category"], draws: Float[Tensor, " item"]
    ) -> Float[Tensor, "item statistic"]:
        variance = share_variance(predicted_dist, draws).mean(-1)
        return torch.stack([variance, torch.zeros_like(variance)], dim=-1)


class BrierSum(ItemMean):
    r"""Brier score summed over classes, $\sum_c (p_c - \hat p_c)^2$, in [0, 2]; for sampled labels as `brier_mean`.

    >>> metric = BrierSum(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]))
    >>> metric.compute().item()
    0.5
    """

    name = "brier_sum"
    label = "Brier (sum) ↓"
    higher_is_better = False
    corrects_sampling = True
    bounds = (0.0, 2.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return brier_sum(label_dist, predicted_dist)

    def sampling_excess(
        self, predicted_dist: Float[Tensor, "item category"], draws: Float[Tensor, " item"]
    ) -> Float[Tensor, "item statistic"]:
        variance = share_variance(predicted_dist, draws).sum(-1)
        return torch.stack([variance, torch.zeros_like(variance)], dim=-1)


class ForwardKl(DistributionMetric):
    r"""$\mathrm{KL}(p \,\|\, \hat p)$ in nats, in [0, ∞]: L_dist of ambiguity-aware LALM, eq. 2, as a metric.

    One item with $\hat p_c = 0$ on a class that has votes makes the mean infinite; nothing is clipped. A softmax
    readout is never 0. A verbalised one often is: use `kl_smoothed` for it. Infinite items are counted separately, so
    that the mean without them is finite.

    >>> metric = ForwardKl(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]))
    >>> round(metric.compute().item(), 4)
    0.6931
    """

    name = "kl"
    label = "KL ↓"
    higher_is_better = False
    bounds = (0.0, float("inf"))
    kind = "mean"

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        divergence = kl(label_dist, predicted_dist).clamp_min(0)
        infinite = divergence.isinf()
        finite_part = divergence.masked_fill(infinite, 0)
        return torch.stack([finite_part, infinite.to(divergence.dtype), torch.ones_like(divergence)], dim=-1)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return torch.where(sums[..., 1] > 0, torch.inf, sums[..., 0] / sums[..., 2])


class SmoothedKl(ItemMean):
    r"""$\mathrm{KL}(p \,\|\, (\hat p + ε)/(1 + Cε))$ in nats with ε = 1e-3: always finite.

    For readouts that contain zeros. The largest value is $\log((1 + Cε)/ε)$, 6.9 nats for a few classes. A perfect
    prediction scores slightly more than 0.

    >>> metric = SmoothedKl(2)
    >>> metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    >>> round(metric.compute().item(), 3)
    6.91
    """

    name = "kl_smoothed"
    label = "KL (ε=1e-3) ↓"
    higher_is_better = False
    bounds = (0.0, float("inf"))

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return kl(label_dist, smoothed(predicted_dist)).clamp_min(0)
