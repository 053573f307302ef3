"""Agreement of a response's distribution with people's: the first term of ambiguity-aware LALM, eq. 6."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import kl, kl_from_logits, smoothed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class Agreement(Reward):
    r"""Minus the divergence from people's distribution, in nats, at most 0.

    $$r = -\mathrm{KL}(p \,\|\, \hat p)$$

    A distribution that is stated in words often has zeros. It is smoothed by ε = 1e-3 there, and the divergence is
    capped. Both are our choices.

    >>> Agreement(kl_cap=5.0).minimum
    -5.0
    """

    def __init__(self, *, weight: float = 1.0, kl_cap: float = 5.0) -> None:
        """Args:
        weight: Factor in the sum of all rewards.
        kl_cap: Verbalised readout: the largest divergence that counts, in nats, and that of a response which could
            not be read. The logit readout has no cap.

        Raises:
            InputError: `kl_cap` is not positive and finite, or the weight is negative.
        """
        super().__init__(weight=weight)
        if not 0 < kl_cap < float("inf"):
            raise InputError(f"kl_cap must be positive, got {kl_cap}", where="model.rewards")
        self.kl_cap = kl_cap

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        target = label_dist[:, None].expand_as(groups.predicted_dist)
        if groups.category_logits is not None:
            return -kl_from_logits(target, groups.category_logits)
        return -kl(target, smoothed(groups.predicted_dist)).clamp(0, self.kl_cap)

    @property
    def minimum(self) -> float:
        return -self.kl_cap

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """0. Verbalised p̂ is smoothed, so p̂ = p scores at most C·1e-3 below."""
        return torch.zeros_like(label_dist[:, 0])
