"""The Brier score of a response's distribution: a proper score with a bound."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import brier_sum
from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class Brier(Reward):
    r"""Minus the Brier score summed over classes, in [−2, 0].

    $$r = -\sum_c (p_c - \hat p_c)^2$$

    With n votes drawn from $q$, its expectation is that against $q$ less $(1 - \sum_c q_c^2) / n$. The last term is the
    same for all responses to an item. So the comparison of responses is unbiased for any n, one vote included
    (docs/concepts/few_votes.md).

    >>> Brier().upper_bound(torch.tensor([[0.5, 0.5]])).tolist()
    [0.0]
    """

    minimum = -2.0

    def __init__(self, *, weight: float = 1.0) -> None:
        """Args:
        weight: Factor in the sum of all rewards.
        """
        super().__init__(weight=weight)

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        return -brier_sum(label_dist[:, None].expand_as(groups.predicted_dist), groups.predicted_dist)

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """0, which p̂ = p earns."""
        return torch.zeros_like(label_dist[:, 0])
