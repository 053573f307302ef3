"""Majority-label supervision (MLS), paper B's baseline: what the response gives to the most frequent label, B(13)."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import majority
from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class MajorityLabel(Reward):
    """p̂ at the majority label of p, in [0, 1]; the first class on a tie (SPEC 1)."""

    minimum = 0.0

    def __init__(self, *, weight: float = 1.0) -> None:
        """
        Args:
            weight: Factor in the sum of all rewards.
        """
        super().__init__(weight=weight)

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        label = majority(label_dist)[:, None, None].expand(*groups.predicted_dist.shape[:2], 1)
        return groups.predicted_dist.gather(-1, label)[..., 0]

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """1, which all of p̂ on the majority label earns: p̂ = p is not the best answer here."""
        return torch.ones_like(label_dist[:, 0])
