"""The agreement of a response's distribution with people's: the first term of A(6)."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.distributions import kl_from_logits
from lalm_ambig.rewards.base import Reward
from lalm_ambig.types import Groups


class Agreement(Reward):
    """−L_dist = −KL(p ‖ p̂) in nats, at most 0."""

    def __init__(self, *, weight: float = 1.0) -> None:
        """
        Args:
            weight: Factor in the sum of all rewards.
        """
        super().__init__(weight=weight)

    def __call__(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        assert groups.category_logits is not None, "the logit readout gives them"
        target = label_dist[:, None].expand_as(groups.category_logits)
        return -kl_from_logits(target, groups.category_logits)

    def perfect(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, "group"]:
        return torch.zeros_like(label_dist[:, 0])
