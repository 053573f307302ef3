"""Supervised fine-tuning: CE on the curated response plus λ times the divergence of the readout, A(3).

Where the paper is silent: (1) CE is averaged over an item's tokens, then over items, so that a batch split over
processes or accumulation steps gives the same gradient; (2) CE leaves out the tokens of the class NAME unless
`kl_weight` is 0, since a hard label there would pull against the distribution (SPEC 4).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.distributions import kl_from_logits
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Loss


@dataclass(frozen=True)
class SFTExperience:
    """What the policy says about a batch of curated responses."""

    token_log_probs: Float[Tensor, "item token"]
    """Log-probability of each curated token; anything where `mask` is False."""
    mask: Bool[Tensor, "item token"]
    """True on the tokens that CE counts."""
    category_logits: Float[Tensor, "item category"] | None
    """Read right after `<answer>`, behind the curated reasoning; None where the response states p in words, which has
    no gradient of L_dist (SPEC 2)."""
    label_dist: Float[Tensor, "item category"]

    def divergence(self) -> Float[Tensor, ""]:
        """L_dist: mean over items of KL(p ‖ p̂) in nats; NaN without category logits, since 0 would be a finding."""
        if self.category_logits is None:
            return torch.full((), torch.nan, device=self.label_dist.device)
        return kl_from_logits(self.label_dist, self.category_logits).mean()


@dataclass(frozen=True)
class SFTObjective:
    """ce_weight · CE + kl_weight · KL(p ‖ p̂)."""

    ce_weight: float = 1.0
    """Weight of the cross-entropy of the curated response; 0 is the KL-only ablation."""
    kl_weight: float = 1.0
    """λ of A(3): weight of L_dist; 0 is the CE-only ablation, in which CE covers the class name too."""

    def __post_init__(self) -> None:
        for name in ("ce_weight", "kl_weight"):
            if not getattr(self, name) >= 0:
                raise InputError(
                    f"{name} must be at least 0, got {getattr(self, name)}", where="model.objective"
                )
        if self.ce_weight == 0 and self.kl_weight == 0:
            raise InputError(
                "ce_weight and kl_weight are both 0, so nothing is trained:",
                where="model.objective",
                remedy="set one of them.",
            )

    def __call__(self, experience: SFTExperience) -> Loss:
        """The loss in nats; its parts are means over items: CE per token, and KL per item where it can be had."""
        ce = mean_per_item(-experience.token_log_probs, experience.mask)
        if experience.category_logits is None and not self.kl_weight:
            return Loss(self.ce_weight * ce, {"ce": ce.detach()})
        divergence = experience.divergence()
        return Loss(
            self.ce_weight * ce + self.kl_weight * divergence, {"ce": ce.detach(), "kl": divergence.detach()}
        )


def mean_per_item(values: Float[Tensor, "item token"], mask: Bool[Tensor, "item token"]) -> Float[Tensor, ""]:
    """Mean over an item's counted tokens, then over items; an item without any adds 0."""
    counted = values.masked_fill(~mask, 0).sum(-1)
    return (counted / mask.sum(-1).clamp(min=1)).mean()
