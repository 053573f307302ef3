"""SHALA's reward: closeness to people's distribution, weighted by how much they disagree."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.distributions import js_distance, normalised_entropy
from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class Shala(Reward):
    r"""Closeness to people's distribution times their normalised entropy, in [0, 1] (SHALA-LLM, eq. 8 and 9).

    $$r = \tilde H(p)\, \big(1 - D_{\mathrm{JS}}(\hat p, p)\big), \quad \tilde H(p) = \frac{-\sum_c p_c \log p_c}
    {\log C}$$

    $D_{\mathrm{JS}}$ is the Jensen-Shannon distance, the square root of the divergence in bits. $\tilde H(p)$ is the
    same for a whole group. Where this is the only reward, dividing advantages by their group's deviation cancels it, up
    to the deviation's ε. Unanimous items have $\tilde H = 0$ and teach nothing.

    >>> p = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    >>> Shala().upper_bound(p).tolist(), Shala().always_zero(p).tolist()
    ([1.0, 0.0], [False, True])
    """

    minimum = 0.0

    def __init__(self, *, weight: float = 1.0, ambiguity: bool = True) -> None:
        """Args:
        weight: Factor in the sum of all rewards.
        ambiguity: Weigh items by their normalised entropy; false takes 1 for it ("w/o Ambi-En" of SHALA-LLM).
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
