"""Direct preference of the curated response over the policy's own worse ones, with L_dist and CE beside it: A(4), A(5).

Where the paper is silent: (1) the preference is averaged over an item's pairs, then over all items of the batch, one
without a pair adding 0, so that a batch split over processes or accumulation steps gives the same gradient; (2) the
class name's tokens are left out of the log-probabilities of both responses (SPEC 4); (3) CE is averaged over an item's
tokens, then over items.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Loss
from lalm_ambig.objectives.sft import SFTExperience, mean_per_item


@dataclass(frozen=True)
class DPOExperience:
    """Log-probabilities of whole responses, summed over their counted tokens, under policy and reference."""

    chosen: Float[Tensor, " item"]
    """Of the curated response, with gradients."""
    chosen_ref: Float[Tensor, " item"]
    rejected: Float[Tensor, "item negative"]
    """Of the policy's own responses, with gradients."""
    rejected_ref: Float[Tensor, "item negative"]
    is_pair: Bool[Tensor, "item negative"]
    """True where there is such a response, False on padding."""
    supervised: SFTExperience
    """The curated responses' tokens and readouts."""


@dataclass(frozen=True)
class DPOObjective:
    """−log σ(β · margin) + kl_weight · L_dist + ce_weight · CE."""

    beta: float = 0.1
    """β of A(5): how sharply the preference reacts to the margin; positive."""
    kl_weight: float = 0.1
    """λ1 of A(4): weight of L_dist behind the curated response; 0 is A Figure 2's DPO without KL."""
    ce_weight: float = 0.1
    """λ2 of A(4): weight of the cross-entropy of the curated response."""

    def __post_init__(self) -> None:
        rules = (
            ("beta", self.beta > 0, "positive"),
            ("kl_weight", self.kl_weight >= 0, "at least 0"),
            ("ce_weight", self.ce_weight >= 0, "at least 0"),
        )
        for name, holds, expected in rules:
            if not holds:
                raise InputError(
                    f"DPO: {name} must be {expected}, got {getattr(self, name)}", where="model.objective"
                )

    def __call__(self, experience: DPOExperience) -> Loss:
        """The loss in nats; parts: preference and its accuracy and margin over pairs, CE a token, KL an item."""
        pairs = experience.is_pair
        chosen = experience.chosen - experience.chosen_ref
        rejected = experience.rejected - experience.rejected_ref
        margins = (chosen[:, None] - rejected).masked_fill(~pairs, 0)
        preference = mean_per_item(-logsigmoid(self.beta * margins), pairs)
        supervised = experience.supervised
        ce = mean_per_item(-supervised.token_log_probs, supervised.mask)
        parts = {
            "preference": preference.detach(),
            "ce": ce.detach(),
            "items_with_negative": pairs.any(-1).float().mean(),
            "margin": _over_pairs(margins.detach(), pairs),
            "preference_accuracy": _over_pairs((margins.detach() > 0).float(), pairs),
        }
        units = {"margin": pairs.sum(), "preference_accuracy": pairs.sum()}
        loss = preference + self.ce_weight * ce
        if supervised.category_logits is None and not self.kl_weight:
            return Loss(loss, parts, units)
        divergence = supervised.divergence()
        return Loss(loss + self.kl_weight * divergence, {**parts, "kl": divergence.detach()}, units)


def _over_pairs(values: Tensor, pairs: Tensor) -> Tensor:
    """Mean over pairs; NaN without any, since 0 would be a finding."""
    return torch.where(pairs, values, 0).sum() / pairs.sum()
