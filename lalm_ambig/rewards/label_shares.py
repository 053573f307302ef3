"""How well the classes that a group's responses name agree with people's votes, and each response's part in it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward

FEWEST = 3
"""Fewest responses with a class: each is left out once, and the others need a pair."""


class LabelShares(Reward):
    r"""A response's part in the quadratic score of its group's labels, in [−1, 3].

    Each of the K responses names one class, $y_i$. The policy's answer is how often it names each. The group's score is
    unbiased for the quadratic score $2 \sum_c \pi_c q_c - \sum_c \pi_c^2$ of the policy's shares $\pi$, which is
    $\sum_c q_c^2$ less their Brier score:

    $$S = \frac2K \sum_i p_{y_i} - \frac{1}{K(K-1)} \sum_{i \ne j} [y_i = y_j], \qquad r_i = K S - (K - 1) S_{-i}$$

    $S_{-i}$ is the score of the others, so $r_i$ is the jackknife's pseudo-value. Its mean over the group is $S$. Votes
    enter linearly, so one vote per item is enough. Under `advantage_scale: leave_one_out` the policy gradient is that
    of the score, without bias (docs/concepts/few_votes.md).

    A response that names no class earns −1 and is left out of K. Where two name one, both earn $S$; one alone earns 0.

    >>> LabelShares().smallest_group
    3
    """

    minimum = -1.0

    def __init__(self, *, weight: float = 1.0) -> None:
        """Args:
        weight: Factor in the sum of all rewards.
        """
        super().__init__(weight=weight)

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        assert groups.labels is not None, "a method with this reward asks for class names"
        return pseudo_values(groups.labels.to(label_dist.device), label_dist)

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """1 + 2 max p: what a response earns that alone names the first class, while all others name one other."""
        return 1 + 2 * label_dist.max(-1).values

    @property
    def depends_on_name(self) -> bool:
        return True

    @property
    def smallest_group(self) -> int:
        return FEWEST


def pseudo_values(
    labels: Int[Tensor, "group rollout"], label_dist: Float[Tensor, "group category"]
) -> Float[Tensor, "group rollout"]:
    """The jackknife's pseudo-values of the quadratic score of labels, in [−1, 3].

    Args:
        labels: The class that each response names, −1 for none.
        label_dist: People's distribution for each group's item.

    Returns:
        The value of each response; −1 where it names no class.

    >>> people = torch.tensor([[0.5, 0.5]])
    >>> pseudo_values(torch.tensor([[0, 0, 1]]), people).tolist()
    [[0.0, 0.0, 2.0]]
    """
    named = labels >= 0
    chosen = one_hot(labels.clamp(min=0), label_dist.shape[-1]) * named[..., None]
    counts = chosen.sum(1)
    size = counts.sum(-1, keepdim=True).to(label_dist.dtype)
    pairs = (counts * (counts - 1)).sum(-1, keepdim=True)
    share = label_dist.gather(-1, labels.clamp(min=0))
    same = counts.gather(-1, labels.clamp(min=0)) - 1
    # K·S − (K − 1)·S₋ᵢ, written out
    left_out = 2 * share - 2 * same / (size - 2).clamp(min=1)
    values = left_out + pairs / ((size - 1) * (size - 2)).clamp(min=1)
    of_two = (share * named).sum(-1, keepdim=True) - pairs / 2
    values = torch.where(size >= FEWEST, values, torch.where(size == 2, of_two, 0.0))
    values = values.clamp(min=LabelShares.minimum)  # which rounding can pass
    return values.masked_fill(~named, LabelShares.minimum)
