"""Group relative policy optimisation: clipped token ratios times advantages, and a penalty to the reference, A(7).

Where the paper is silent or others differ: (1) the penalty is the estimator r − log r − 1 with r = π_ref/π of each
sampled token (k3), which is never negative; (2) the lower and upper clip may differ; (3) the mean over tokens may be
taken within each response (A(7)), over all tokens of the batch, or by a constant length; (4) a response without counted
tokens adds 0, yet counts in the mean over responses.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Loss

Average = Literal["sequence", "token", "constant"]


@dataclass(frozen=True)
class GRPOExperience:
    """What the policy says about groups of responses, and how good they were."""

    log_probs: Float[Tensor, "group rollout token"]
    """Under the policy as it is, with gradients."""
    old_log_probs: Float[Tensor, "group rollout token"]
    """Under the policy that sampled."""
    ref_log_probs: Float[Tensor, "group rollout token"] | None
    """Under the reference; None where the penalty's weight is 0."""
    mask: Bool[Tensor, "group rollout token"]
    """True on the tokens that count: sampled, and not of the class name."""
    advantages: Float[Tensor, "group rollout"]
    tokens: Float[Tensor, ""] | None = None
    """What `average: token` divides by, where it is not this batch's counted tokens: see `GRPO.gather`."""


@dataclass(frozen=True)
class GRPOObjective:
    """−min(ρÂ, clip(ρ)Â) + kl_weight · k3, averaged over tokens and responses."""

    clip_low: float = 0.2
    """ε below 1: ratios under 1 − clip_low are clipped where the advantage is negative; in (0, 1)."""
    clip_high: float = 0.2
    """ε above 1: ratios over 1 + clip_high are clipped where the advantage is positive; positive."""
    kl_weight: float = 0.04
    """β: weight of the penalty to the reference; 0 leaves the reference out."""
    average: Average = "sequence"
    """`sequence`: mean over a response's tokens, then over responses, A(7). `token`: mean over all tokens of the batch.
    `constant`: sum over tokens divided by `constant_tokens`, mean over responses."""
    constant_tokens: int = 256
    """Length that `average: constant` divides by."""

    def __post_init__(self) -> None:
        rules = (
            ("clip_low", 0 < self.clip_low < 1, "in (0, 1)"),
            ("clip_high", self.clip_high > 0, "positive"),
            ("kl_weight", self.kl_weight >= 0, "at least 0"),
            ("constant_tokens", self.constant_tokens >= 1, "at least 1"),
        )
        for name, holds, expected in rules:
            if not holds:
                raise InputError(
                    f"GRPO: {name} must be {expected}, got {getattr(self, name)}", where="model.objective"
                )

    def __call__(self, experience: GRPOExperience) -> Loss:
        """The loss, and as parts: mean ratio, share of clipped tokens, and the penalty in nats a token."""
        mask, advantage = experience.mask, experience.advantages[..., None]
        ratio = (experience.log_probs - experience.old_log_probs).masked_fill(~mask, 0).exp()
        clipped = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        losses = -torch.minimum(ratio * advantage, clipped * advantage)
        bound = (clipped * advantage < ratio * advantage) & mask
        parts = {
            "ratio": _over_tokens(ratio.detach(), mask),
            "clipped_share": _over_tokens(bound.float(), mask),
        }
        if experience.ref_log_probs is not None:
            penalty = k3(experience.log_probs, experience.ref_log_probs, mask)
            losses = losses + self.kl_weight * penalty
            parts["kl_to_reference"] = _over_tokens(penalty.detach(), mask)
        units = dict.fromkeys(parts, mask.sum())
        return Loss(self._averaged(losses.masked_fill(~mask, 0), experience), parts, units)

    def _averaged(self, losses: Tensor, experience: GRPOExperience) -> Tensor:
        mask = experience.mask
        if self.average == "token":
            return losses.sum() / (mask.sum() if experience.tokens is None else experience.tokens).clamp(
                min=1
            )
        length = mask.sum(-1).clamp(min=1) if self.average == "sequence" else self.constant_tokens
        return (losses.sum(-1) / length).mean()


def k3(
    log_probs: Float[Tensor, "*batch token"],
    ref_log_probs: Float[Tensor, "*batch token"],
    mask: Bool[Tensor, "*batch token"],
) -> Float[Tensor, "*batch token"]:
    """r − log r − 1 with r = π_ref/π: an unbiased, non-negative estimate of KL(π ‖ π_ref) from a token sampled by π."""
    difference = (ref_log_probs - log_probs).masked_fill(~mask, 0)
    return difference.exp() - difference - 1


def _over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
