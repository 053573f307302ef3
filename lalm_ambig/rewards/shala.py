"""SHALA's reward: closeness to people's distribution, weighed by how much they disagree, B(8) and B(9)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.distributions import js_distance, normalised_entropy
from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class Shala(Reward):
    """H̃(p) · (1 − JS distance of p̂ and p), in [0, 1]; the distance is the root of the base-2 divergence.

    H̃(p) is the same for a whole group. Where this is the only reward, dividing advantages by their group's deviation
    cancels it, all but the deviation's ε, and unanimous items, with H̃ = 0, teach nothing (SPEC 4).
    """

    minimum = 0.0

    def __init__(self, *, weight: float = 1.0, ambiguity: bool = True) -> None:
        """
        Args:
            weight: Factor in the sum of all rewards.
            ambiguity: Weigh items by their normalised entropy H̃; false takes 1 for it ("w/o Ambi-En" in B).
        """
        super().__init__(weight=weight)
        self.ambiguity = ambiguity

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        target = label_dist[:, None].expand_as(groups.predicted_dist)
        return self.upper_bound(label_dist)[:, None] * (1 - js_distance(target, groups.predicted_dist))

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """H̃(p), or 1 without the weighing."""
        if not self.ambiguity:
            return torch.ones_like(label_dist[:, 0])
        return normalised_entropy(label_dist).abs()  # of a unanimous item it is −0.0

    @property
    def constant_per_item(self) -> bool:
        return self.ambiguity

    def always_zero(self, label_dist: Float[Tensor, "group category"]) -> Bool[Tensor, " group"]:
        return self.upper_bound(label_dist) == 0
