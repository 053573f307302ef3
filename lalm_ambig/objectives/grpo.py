r"""Group relative policy optimisation: clipped token ratios times advantages, and a penalty to the reference.

Source: ambiguity-aware LALM, eq. 7; SHALA-LLM, eq. 7 and 11. The papers leave open, and we chose:

1. The penalty is the estimator r − log r − 1 with r = π_ref/π of each sampled token (k3), which is never negative.
2. The lower and the upper clip may differ.
3. The mean over tokens is taken within each response, as in the papers, over all tokens of the batch, or by a constant
   length.
4. A response without tokens in the loss adds 0, and still counts in the mean over responses.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Loss, MassGradient
from lalm_ambig.objectives.on_policy import OnPolicyTerms, OwnReadouts
from lalm_ambig.objectives.sft import SFTExperience, mass_term, mean_per_item, total_of

Average = Literal["sequence", "token", "constant"]


@dataclass(frozen=True)
class GRPOExperience:
    """Log-probabilities of groups of responses in nats, and the responses' advantages."""

    log_probs: Float[Tensor, "group rollout token"]
    """Under the policy as it is, with gradients."""
    old_log_probs: Float[Tensor, "group rollout token"]
    """Under the policy that sampled."""
    ref_log_probs: Float[Tensor, "group rollout token"] | None
    """Under the reference; None where the penalty's weight is 0."""
    mask: Bool[Tensor, "group rollout token"]
    """True on the tokens of the loss: those of responses, without the class name."""
    advantages: Float[Tensor, "group rollout"]
    tokens: Float[Tensor, ""] | None = None
    """Denominator for `average: token`; None for this batch's number of tokens in the loss."""
    after_answer: Bool[Tensor, "group rollout token"] | None = None
    """True on the tokens that take `form_advantages`: class names and what closes them; None where none do."""
    form_advantages: Float[Tensor, "group rollout"] | None = None
    """The part of the advantages that comes from rewards of the class name, such as the form."""
    own: OwnReadouts | None = None
    """Class scores after own responses; None where no weight asks for them."""
    curated_log_class_mass: Float[Tensor, " group"] | None = None
    """Log of the class mass after each curated response, in nats; None where it is not trained."""
    curated: SFTExperience | None = None
    """The curated responses' tokens; None where CE has no weight."""
    token_weights: Float[Tensor, "group rollout token"] | None = None
    """What each token's loss is multiplied by, since an engine has sampled it with other probabilities than the
    policy's: the truncated ratio of the two. None where the policy itself has sampled."""

    def token_advantages(self) -> Float[Tensor, "group rollout token"]:
        """The advantage that each token is weighed by."""
        advantages = self.advantages[..., None].expand(self.mask.shape)
        if self.after_answer is None or self.form_advantages is None:
            return advantages
        return torch.where(self.after_answer, self.form_advantages[..., None], advantages)


@dataclass(frozen=True)
class GRPOObjective:
    r"""GRPO's loss (ambiguity-aware LALM, eq. 7, with the sign of a loss).

    $$\mathcal L = \frac1K \sum_k \frac{1}{|Z_k|} \sum_t \Big[ -\min\big(\rho_{k,t} \hat A_k,\
    \mathrm{clip}(\rho_{k,t}, 1 - ε_{\mathrm{low}}, 1 + ε_{\mathrm{high}}) \hat A_k\big) + β\, \mathrm{k3}_{k,t} \Big],
    \quad \rho_{k,t} = \frac{\pi_\theta(z_{k,t})}{\pi_{\mathrm{old}}(z_{k,t})}$$

    The mean over $k$ is over all responses of the batch. Where an engine has sampled, each token's term and
    penalty is multiplied by its truncated importance weight (`GRPOExperience.token_weights`). `on_policy_kl_weight` and
    `class_mass_weight` add terms of ours (see `objectives/on_policy.py`).

    >>> zeros, mask = torch.zeros(1, 2, 1), torch.ones(1, 2, 1, dtype=torch.bool)
    >>> ratio = torch.tensor([[[1.5], [1.0]]])
    >>> experience = GRPOExperience(ratio.log(), zeros, None, mask, torch.tensor([[1.0, -1.0]]))
    >>> round(GRPOObjective(clip_high=0.2, kl_weight=0.0)(experience).total.item(), 4)
    -0.1

    Raises:
        InputError: A coefficient is out of its range.
    """

    clip_low: float = 0.2
    """ε below 1: ratios under 1 − clip_low are clipped where the advantage is negative; in (0, 1)."""
    clip_high: float = 0.2
    """ε above 1: ratios over 1 + clip_high are clipped where the advantage is positive; positive."""
    kl_weight: float = 0.04
    """β: weight of the penalty to the reference; 0 leaves the reference out."""
    average: Average = "sequence"
    """`sequence`: mean over a response's tokens, then over responses, as in the papers. `token`: mean over all tokens
    of the batch. `constant`: sum over tokens divided by `constant_tokens`, mean over responses."""
    constant_tokens: int = 256
    """Length that `average: constant` divides by."""
    on_policy_kl_weight: float = 0.0
    """Weight of L_dist after all sampled responses: the half of the reward's gradient that the papers' form leaves out
    (see `objectives/on_policy.py`)."""
    class_mass_weight: float = 0.0
    """Weight of −log of the probability that a class name follows `<answer>`, in own and curated responses."""
    class_mass_gradient: MassGradient = "exact"
    """`exact`: the term's own gradient, which makes answers sharper as long as the mass is small. `even`: one that
    moves all class names alike (docs/concepts/on_policy.md)."""
    curated_ce_weight: float = 0.0
    """Weight of the cross-entropy of the curated response beside the groups: imitation that is not in the advantages,
    as GRPOz has it there. Every item then needs a rationale."""

    def __post_init__(self) -> None:
        rules = (
            ("clip_low", 0 < self.clip_low < 1, "in (0, 1)"),
            ("clip_high", self.clip_high > 0, "positive"),
            ("kl_weight", self.kl_weight >= 0, "at least 0"),
            ("constant_tokens", self.constant_tokens >= 1, "at least 1"),
            ("on_policy_kl_weight", self.on_policy_kl_weight >= 0, "at least 0"),
            ("class_mass_weight", self.class_mass_weight >= 0, "at least 0"),
            ("curated_ce_weight", self.curated_ce_weight >= 0, "at least 0"),
        )
        for name, holds, expected in rules:
            if not holds:
                raise InputError(
                    f"GRPO: {name} must be {expected}, got {getattr(self, name)}", where="model.objective"
                )

    def other_terms(self) -> dict[str, float]:
        """Weights of the terms beside the rewards, by name."""
        names = ("kl_weight", "on_policy_kl_weight", "class_mass_weight", "curated_ce_weight")
        return {name: getattr(self, name) for name in names}

    def __call__(self, experience: GRPOExperience) -> Loss:
        """The loss; its parts are means over tokens: `ratio`, `clipped_share`, and `kl_to_reference` in nats.

        Own readouts add the parts of `OnPolicyTerms`, which are means over responses.
        """
        mask, advantage = experience.mask, experience.token_advantages()
        ratio = (experience.log_probs - experience.old_log_probs).masked_fill(~mask, 0).exp()
        clipped = ratio.clamp(1 - self.clip_low, 1 + self.clip_high)
        losses = -torch.minimum(ratio * advantage, clipped * advantage)
        is_clipped = (clipped * advantage < ratio * advantage) & mask
        parts = {
            "ratio": _over_tokens(ratio.detach(), mask),
            "clipped_share": _over_tokens(is_clipped.float(), mask),
        }
        if experience.ref_log_probs is not None:
            penalty = k3(experience.log_probs, experience.ref_log_probs, mask)
            losses = losses + self.kl_weight * penalty
            parts["kl_to_reference"] = _over_tokens(penalty.detach(), mask)
        units = dict.fromkeys(parts, mask.sum())
        if experience.token_weights is not None:
            losses = losses * experience.token_weights
            parts["engine_weight"] = _over_tokens(experience.token_weights, mask)
            units["engine_weight"] = mask.sum()
        terms = {"policy": self._averaged(losses.masked_fill(~mask, 0), experience)}
        own_terms, own_parts = OnPolicyTerms(self.on_policy_kl_weight, self.class_mass_weight)(experience.own)
        if (mass := experience.curated_log_class_mass) is not None:
            own_terms["class_mass"], own_parts["class_mass"] = mass_term(mass, self.class_mass_weight)
        if (curated := experience.curated) is not None:
            ce = mean_per_item(-curated.token_log_probs, curated.mask)
            own_terms["ce"], own_parts["ce"] = self.curated_ce_weight * ce, ce.detach()
        return total_of(terms | own_terms, parts | own_parts, units)

    def _averaged(self, losses: Tensor, experience: GRPOExperience) -> Tensor:
        mask = experience.mask
        if self.average == "token":
            tokens = mask.sum() if experience.tokens is None else experience.tokens
            return losses.sum() / tokens.clamp(min=1)
        length = mask.sum(-1).clamp(min=1) if self.average == "sequence" else self.constant_tokens
        return (losses.sum(-1) / length).mean()


def k3(
    log_probs: Float[Tensor, "*batch token"],
    ref_log_probs: Float[Tensor, "*batch token"],
    mask: Bool[Tensor, "*batch token"],
) -> Float[Tensor, "*batch token"]:
    r"""Estimate of KL(π ‖ π_ref) in nats per sampled token: unbiased, at least 0, and 0 where the mask is False.

    $$r - \log r - 1, \quad r = \pi_{\mathrm{ref}} / \pi$$

    Args:
        log_probs: Of tokens that π sampled, in nats.
        ref_log_probs: Of the same tokens under the reference, in nats.
        mask: True on tokens that count.

    >>> round(k3(torch.tensor([0.0]), torch.tensor([2.0]).log(), torch.tensor([True])).item(), 4)
    0.3069
    """
    difference = (ref_log_probs - log_probs).masked_fill(~mask, 0)
    return difference.exp() - difference - 1


def _over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
