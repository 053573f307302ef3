"""Majority-label supervision (MLS), the baseline of SHALA-LLM (Appendix D.4)."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import majority
from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class MajorityLabel(Reward):
    r"""Probability that a response gives to the majority label, in [0, 1] (SHALA-LLM, eq. 12 and 13).

    $$r = \hat p_{y^*}, \quad y^* = \arg\max_c p_c$$

    On a tie $y^*$ is the first class in the corpus's order. The paper does not say so, but its Table 5 agrees.

    >>> MajorityLabel().upper_bound(torch.tensor([[0.6, 0.4]])).tolist()
    [1.0]
    """

    minimum = 0.0

    def __init__(self, *, weight: float = 1.0) -> None:
        """Args:
        weight: Factor in the sum of all rewards.
        """
        super().__init__(weight=weight)

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        label = majority(label_dist)[:, None, None].expand(*groups.predicted_dist.shape[:2], 1)
        return groups.predicted_dist.gather(-1, label)[..., 0]

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """1, which a p̂ of 1 on the majority label earns: p̂ = p is not the best answer here."""
        return torch.ones_like(label_dist[:, 0])
