r"""Scores against the distribution behind an item's votes, of which the votes are a sample."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.metrics.base import share_variance
from lalm_ambig.metrics.divergences import BrierMean


class BrierMeanUnbiased(BrierMean):
    r"""Brier score per class against the distribution behind the votes, unbiased for any number of votes from 2 on.

    $$\frac1C \sum_c \Big[ (p_c - \hat p_c)^2 - \frac{p_c (1 - p_c)}{n - 1} \Big]$$

    $p$ are the shares of $n$ votes, each drawn from the distribution $q$ behind them. Its expectation is
    $\frac1C \sum_c (q_c - \hat p_c)^2$. A single item can score below 0. Items with one vote are left out, and those
    whose votes are no whole numbers. For shares of sampled labels it also takes off what `brier_mean` does.

    >>> metric = BrierMeanUnbiased(2)
    >>> votes = torch.tensor([[1.0, 1.0]])
    >>> metric.update(votes / 2, torch.tensor([[0.5, 0.5]]), votes=votes.sum(-1))
    >>> metric.compute().item()
    -0.25
    """

    name = "brier_mean_unbiased"
    label = "Brier (mean, unbiased) ↓"
    needs_votes = True
    bounds = (-0.5, 1.0)

    def votes_excess(
        self, label_dist: Float[Tensor, "item category"], votes: Float[Tensor, " item"]
    ) -> Float[Tensor, "item statistic"]:
        variance = share_variance(label_dist, votes).mean(-1)
        return torch.stack([variance, torch.zeros_like(variance)], dim=-1)
