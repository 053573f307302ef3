r"""On-policy DPO: preference of the curated response over the policy's own worse ones, with L_dist and CE added.

Source: ambiguity-aware LALM, eq. 4 and 5. The paper leaves open, and we chose:

1. The preference is averaged over an item's pairs, then over all items of the batch; an item without a pair adds 0. A
   batch that is split over processes or accumulation steps then gives the same gradient.
2. The class name's tokens are left out of the log-probabilities of both responses.
3. CE is averaged over an item's tokens, then over items.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Loss, MassGradient
from lalm_ambig.objectives.on_policy import OnPolicyTerms
from lalm_ambig.objectives.sft import SFTExperience, mass_term, mean_per_item, total_of


@dataclass(frozen=True)
class DPOExperience:
    """Log-probabilities of whole responses in nats under policy and reference: sums or means over their tokens."""

    chosen: Float[Tensor, " item"]
    """Of the curated response, with gradients."""
    chosen_ref: Float[Tensor, " item"]
    """Of the curated response under the reference; anything for an item without a pair."""
    rejected: Float[Tensor, "item negative"]
    """Of the policy's own responses, with gradients."""
    rejected_ref: Float[Tensor, "item negative"]
    """Of the policy's own responses under the reference."""
    is_pair: Bool[Tensor, "item negative"]
    """True where there is such a response, False on padding."""
    supervised: SFTExperience
    """The curated responses' tokens and readouts."""


@dataclass(frozen=True)
class DPOObjective:
    r"""DPO's loss in nats (ambiguity-aware LALM, eq. 4 and 5).

    $$\mathcal L = \frac1N \sum_n \frac{1}{|J_n|} \sum_{j \in J_n} -\log \sigma(\beta\, \Delta_{n,j}) + \lambda_1
    L_{\mathrm{dist}} + \lambda_2 L_{\mathrm{CE}}, \quad \Delta_{n,j} = \log \frac{\pi_\theta(y_n^{\mathrm{pos}})}
    {\pi_{\mathrm{ref}}(y_n^{\mathrm{pos}})} - \log \frac{\pi_\theta(y_{n,j}^{\mathrm{neg}})}
    {\pi_{\mathrm{ref}}(y_{n,j}^{\mathrm{neg}})}$$

    $J_n$ are the rejected responses to item $n$; an item without any adds 0 to the first term.

    >>> one, zero = torch.tensor([1.0]), torch.tensor([0.0])
    >>> curated = SFTExperience(zero[:, None], torch.tensor([[True]]), torch.zeros(1, 2), torch.tensor([[0.5, 0.5]]))
    >>> experience = DPOExperience(one, zero, -one[:, None], zero[:, None], torch.tensor([[True]]), curated)
    >>> round(DPOObjective(beta=0.5)(experience).total.item(), 4)
    0.3133

    Raises:
        InputError: A coefficient is out of its range.
    """

    beta: float = 0.1
    """β: how sharply the preference reacts to the margin; positive."""
    kl_weight: float = 0.1
    """λ1: weight of L_dist after the curated response; 0 is "CE-only" of ambiguity-aware LALM, Figure 2."""
    ce_weight: float = 0.1
    """λ2: weight of the cross-entropy of the curated response."""
    class_mass_weight: float = 0.0
    """Weight of −log of the probability that a class name follows the curated and own `<answer>` (see `SFTObjective`);
    0 is the paper's loss."""
    class_mass_gradient: MassGradient = "exact"
    """`exact`: the term's own gradient, which makes answers sharper as long as the mass is small. `even`: one that
    moves all class names alike (docs/concepts/on_policy.md)."""
    on_policy_kl_weight: float = 0.0
    """Weight of L_dist after all sampled responses (see `objectives/on_policy.py`); 0 is the paper's loss."""
    preference_average: Literal["sum", "token"] = "sum"
    """Whether the preference compares the `sum` of a response's log-probabilities, as in the paper, or their mean per
    `token`. A sum grows with length and outweighs L_dist and CE, which are means."""

    def __post_init__(self) -> None:
        rules = (
            ("beta", self.beta > 0, "positive"),
            ("kl_weight", self.kl_weight >= 0, "at least 0"),
            ("ce_weight", self.ce_weight >= 0, "at least 0"),
            ("class_mass_weight", self.class_mass_weight >= 0, "at least 0"),
            ("on_policy_kl_weight", self.on_policy_kl_weight >= 0, "at least 0"),
            ("preference_average", self.preference_average in ("sum", "token"), "sum or token"),
        )
        for name, holds, expected in rules:
            if not holds:
                raise InputError(
                    f"DPO: {name} must be {expected}, got {getattr(self, name)}", where="model.objective"
                )

    def __call__(self, experience: DPOExperience) -> Loss:
        """The loss in nats.

        Its parts: `preference`, `ce` per token and `kl` as means over items, `items_with_negative` as a share, and
        `margin` in nats and `preference_accuracy` as means over pairs.
        """
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
        terms = {"preference": preference, "ce": self.ce_weight * ce}
        if supervised.category_logits is not None or self.kl_weight:
            divergence = supervised.divergence()
            terms["kl"], parts["kl"] = self.kl_weight * divergence, divergence.detach()
        if (mass := supervised.log_class_mass) is not None:
            terms["class_mass"], parts["class_mass"] = mass_term(mass, self.class_mass_weight)
        own_terms, own_parts = OnPolicyTerms(self.on_policy_kl_weight, self.class_mass_weight)(supervised.own)
        return total_of(terms | own_terms, parts | own_parts, units)


def _over_pairs(values: Tensor, pairs: Tensor) -> Tensor:
    """Mean over pairs; NaN without any, since 0 would be a finding."""
    return torch.where(pairs, values, 0).sum() / pairs.sum()
