r"""Supervised fine-tuning: CE on the curated response, and the divergence of the readout.

Source: ambiguity-aware LALM, eq. 2 and 3. The paper leaves open, and we chose:

1. CE is averaged over an item's tokens, then over items. A batch that is split over processes or accumulation steps
   then gives the same gradient.
2. CE leaves out the tokens of the class name unless `kl_weight` is 0. A hard label there would pull against the
   distribution.
3. L_dist is KL(p ‖ p̂). Eq. 2 names its arguments the other way round, but its sum and the text say this.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.distributions import kl_from_logits
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Loss, MassGradient
from lalm_ambig.objectives.on_policy import OnPolicyTerms, OwnReadouts


@dataclass(frozen=True)
class SFTExperience:
    """Log-probabilities and category logits of a batch of curated responses."""

    token_log_probs: Float[Tensor, "item token"]
    """Log-probability of each curated token in nats; anything where `mask` is False."""
    mask: Bool[Tensor, "item token"]
    """True on the tokens that CE counts."""
    category_logits: Float[Tensor, "item category"] | None
    """Read right after `<answer>`, which follows the curated reasoning. None where the response states p in words: text
    has no gradient of L_dist."""
    label_dist: Float[Tensor, "item category"]
    log_class_mass: Float[Tensor, " item"] | None = None
    """Log of the probability that a class name follows `<answer>`, in nats; None where it is not trained."""
    own: OwnReadouts | None = None
    """Class scores after the policy's own responses; None where no weight asks for them."""

    def divergence(self) -> Float[Tensor, ""]:
        """L_dist: mean over items of KL(p ‖ p̂) in nats; NaN without category logits, since 0 would be a finding."""
        if self.category_logits is None:
            return torch.full((), torch.nan, device=self.label_dist.device)
        return kl_from_logits(self.label_dist, self.category_logits).mean()


@dataclass(frozen=True)
class SFTObjective:
    r"""SFT's loss in nats (ambiguity-aware LALM, eq. 3).

    $$\mathcal L = \frac1N \sum_n \Big[ w_{\mathrm{CE}} \frac{1}{T_n} \sum_{t=1}^{T_n} -\log \pi_\theta(z_{n,t}) +
    \lambda\, \mathrm{KL}(p_n \,\|\, \hat p_n) - \mu \log \sum_c \pi_\theta(c) \Big] + L_{\mathrm{own}}$$

    The sum over $t$ is over the $T_n$ tokens of the curated response that the mask counts. The rest is ours and 0 in
    the paper. $L_{\mathrm{own}}$ is the divergence and the class mass after the policy's own responses (see
    `objectives/on_policy.py`). $\mu$ is `class_mass_weight`. The divergence sees the classes' shares alone, so
    nothing else holds probability on the class names. With $\lambda = \mu$ and names of one token, the two are the
    cross-entropy $-\sum_c p_c \log \pi_\theta(c)$ of the distribution over the whole vocabulary, less the entropy of
    $p$.

    >>> experience = SFTExperience(
    ...     token_log_probs=torch.tensor([[-1.0, -3.0]]),
    ...     mask=torch.tensor([[True, True]]),
    ...     category_logits=torch.tensor([[0.0, 0.0]]),
    ...     label_dist=torch.tensor([[1.0, 0.0]]),
    ... )
    >>> round(SFTObjective(ce_weight=1.0, kl_weight=1.0)(experience).total.item(), 4)
    2.6931

    Raises:
        InputError: A weight is negative, or all are 0.
    """

    ce_weight: float = 1.0
    """Weight of the cross-entropy of the curated response; 0 is the KL-only ablation."""
    kl_weight: float = 1.0
    """λ: weight of L_dist; 0 is the CE-only ablation, in which CE covers the class name too."""
    class_mass_weight: float = 0.0
    """μ: weight of −log of the probability that a class name follows `<answer>`; 0 is the paper's loss. With
    `on_policy_kl_weight` it acts after own responses, too."""
    class_mass_gradient: MassGradient = "exact"
    """`exact`: the term's own gradient, which makes answers sharper as long as the mass is small. `even`: one that
    moves all class names alike (docs/concepts/on_policy.md)."""
    on_policy_kl_weight: float = 0.0
    """Weight of L_dist after the policy's own responses, which are sampled for each update; 0 is the paper's loss."""

    @property
    def uses_curated(self) -> bool:
        """Whether a term needs curated responses."""
        return self.ce_weight > 0 or self.kl_weight > 0 or self.on_policy_kl_weight == 0

    def __post_init__(self) -> None:
        weights = ("ce_weight", "kl_weight", "class_mass_weight", "on_policy_kl_weight")
        for name in weights:
            if not getattr(self, name) >= 0:
                raise InputError(
                    f"{name} must be at least 0, got {getattr(self, name)}", where="model.objective"
                )
        if not any(getattr(self, name) for name in weights):
            raise InputError(
                "all weights are 0, so nothing is trained:",
                where="model.objective",
                remedy="set one of them.",
            )

    def __call__(self, experience: SFTExperience) -> Loss:
        """The loss in nats, with `ce` per token and `kl` per item as its parts, both means over items.

        With a weight of the class mass, its mean over items is a part, too, as a share in [0, 1]. Own responses add
        the parts of `OnPolicyTerms`.
        """
        ce = mean_per_item(-experience.token_log_probs, experience.mask)
        terms, parts = {"ce": self.ce_weight * ce}, {"ce": ce.detach()}
        if experience.category_logits is not None or self.kl_weight:
            divergence = experience.divergence()
            terms["kl"], parts["kl"] = self.kl_weight * divergence, divergence.detach()
        if (mass := experience.log_class_mass) is not None:
            terms["class_mass"], parts["class_mass"] = mass_term(mass, self.class_mass_weight)
        own_terms, own_parts = OnPolicyTerms(self.on_policy_kl_weight, self.class_mass_weight)(experience.own)
        return total_of(terms | own_terms, parts | own_parts)


def mass_term(log_mass: Float[Tensor, " item"], weight: float) -> tuple[Tensor, Tensor]:
    """The weighted term of the class mass in nats, and the mean mass as a share in [0, 1]."""
    return -weight * log_mass.mean(), log_mass.detach().exp().mean()


def total_of(
    terms: dict[str, Tensor], parts: dict[str, Tensor], units: dict[str, Tensor] | None = None
) -> Loss:
    """The loss that is the sum of these terms, in their order."""
    return Loss(sum(terms.values(), torch.zeros(())), parts, units or {}, terms)


def mean_per_item(values: Float[Tensor, "item token"], mask: Bool[Tensor, "item token"]) -> Float[Tensor, ""]:
    """Mean over each item's masked tokens, then over items. An item without any adds 0, and still counts.

    Args:
        values: One number per token; anything where the mask is False.
        mask: True on tokens that count.

    >>> mean_per_item(torch.tensor([[1.0, 3.0], [5.0, 9.0]]), torch.tensor([[True, True], [True, False]])).item()
    3.5
    """
    sums = values.masked_fill(~mask, 0).sum(-1)
    return (sums / mask.sum(-1).clamp(min=1)).mean()
