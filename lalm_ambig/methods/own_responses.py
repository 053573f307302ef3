"""What a training pass reads after curated and own responses, as the records that objectives take."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.data.encoding import Readout
from lalm_ambig.objectives.on_policy import OwnReadouts
from lalm_ambig.objectives.sft import SFTExperience
from lalm_ambig.rollouts.passages import PassOutput


def own_readouts(
    scores: Float[Tensor, "response category"],
    log_class_mass: Float[Tensor, " response"] | None,
    label_dist: Float[Tensor, "group category"],
    importance: Float[Tensor, "group rollout"] | None = None,
) -> OwnReadouts:
    """The objective's record of own responses.

    Args:
        scores: Class scores after the responses, group by group, as many for each.
        log_class_mass: Log of the class mass there in nats; None where it is not trained.
        label_dist: People's distribution for each group's item.
        importance: Weight of each response; None where the policy itself has sampled it.
    """
    groups = len(label_dist)
    mass = None if log_class_mass is None else log_class_mass.view(groups, -1)
    return OwnReadouts(scores.view(groups, -1, scores.shape[-1]), label_dist, mass, importance)


def supervised_experience(
    scored: PassOutput,
    label_dist: Float[Tensor, "item category"],
    *,
    curated: int,
    importance: Float[Tensor, "item rollout"] | None = None,
) -> SFTExperience:
    """The supervised record of a pass whose first spans are the curated responses, and the rest own ones.

    Args:
        scored: Values of the spans.
        label_dist: People's distribution for each item.
        curated: Number of curated responses: one per item, or 0 where none is trained on.
        importance: Weight of each own response; None where the policy itself has sampled it.
    """
    answered = len(scored.scores) > 0
    mass = scored.log_class_mass
    own = None
    if len(scored.scores) > curated:
        own_mass = None if mass is None else mass[curated:]
        own = own_readouts(scored.scores[curated:], own_mass, label_dist, importance)
    if not curated:
        nothing = torch.zeros(len(label_dist), 1, device=label_dist.device)
        return SFTExperience(nothing, nothing.bool(), None, label_dist, own=own)
    return SFTExperience(
        token_log_probs=scored.log_probs[:curated],
        mask=scored.mask[:curated],
        category_logits=scored.scores[:curated] if answered else None,
        label_dist=label_dist,
        log_class_mass=None if mass is None else mass[:curated],
        own=own,
    )


def curated_experience(scored: PassOutput, label_dist: Float[Tensor, "item category"]) -> SFTExperience:
    """The tokens of the curated responses, which are the last spans of a pass."""
    last = slice(len(scored.log_probs) - len(label_dist), None)
    return SFTExperience(scored.log_probs[last], scored.mask[last], None, label_dist)


def check_on_policy(readout: Readout, *, reasoning: bool, weight: float) -> None:
    """Refuse L_dist after own responses where there are none, or where it has no gradient.

    Args:
        readout: Where a response's distribution is read from.
        reasoning: Whether responses reason before they answer.
        weight: `on_policy_kl_weight`.

    Raises:
        InputError: The weight is not 0, and the readout is verbalised or responses have no reasoning.
    """
    if not weight:
        return
    if readout == "verbalised":
        raise InputError(
            f"on_policy_kl_weight is {weight}, but a verbalised distribution has no gradient:",
            where="model.objective",
            remedy="set on_policy_kl_weight to 0, or readout to logits.",
        )
    if not reasoning:
        raise InputError(
            f"on_policy_kl_weight is {weight}, but without reasoning no response comes before the answer:",
            where="model.objective",
            remedy="set on_policy_kl_weight to 0 and kl_weight in its place, or reasoning to true.",
        )
