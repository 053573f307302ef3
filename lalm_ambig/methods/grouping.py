"""How GRPO groups and compares responses, and the refusal of settings under which nothing could be learnt."""

from collections.abc import Sequence
from dataclasses import dataclass

from lalm_ambig.core.errors import InputError
from lalm_ambig.objectives.advantages import Scale
from lalm_ambig.rewards.base import Reward


@dataclass(frozen=True)
class Grouping:
    """How responses are grouped and compared.

    Raises:
        InputError: `group_size` or `updates` is below 1.
    """

    group_size: int = 8
    """Responses sampled per prompt, K."""
    advantage_scale: Scale = "group"
    """Divisor of a reward's difference from its group's mean: the deviation of the `group` (the papers' form) or of the
    `batch`, or nothing (`none`)."""
    updates: int = 1
    """Optimiser steps on each batch of responses, μ."""
    mask_truncated: bool = False
    """Leave truncated responses out of the loss; they still count in the group's mean."""
    skip_unanimous: bool = False
    """Sample nothing for items on which every response earns 0 by definition: with SHALA, those whose annotators agree.
    Their advantages are 0 either way; under `average: token` the tokens of other items then weigh more."""

    def __post_init__(self) -> None:
        for name in ("group_size", "updates"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}", where="model.grouping"
                )


def check_rewards(rewards: Sequence[Reward]) -> None:
    """Refuse rewards that teach nothing or are listed twice.

    Raises:
        InputError: No reward has a weight, or two have the same name.
    """
    if not any(reward.weight for reward in rewards):
        raise InputError("no reward has a weight, so nothing is learnt.", where="model.rewards")
    names = [reward.name for reward in rewards]
    if len(set(names)) < len(names):
        raise InputError(f"a reward stands twice in {names}.", where="model.rewards")


def check_comparison(grouping: Grouping, *, curated: bool) -> None:
    """Refuse groups of one trajectory.

    Args:
        grouping: Size of groups.
        curated: Whether the curated response counts in each group's mean.

    Raises:
        InputError: A group has nothing to be compared with.
    """
    if grouping.group_size + curated < 2:  # the difference from the mean of one is 0 under any scale
        raise InputError(
            f"a group of {grouping.group_size} has nothing to be compared with:",
            where="model.grouping",
            remedy="set group_size to 2 or more.",
        )


def check_skipping(rewards: Sequence[Reward], *, kl_weight: float) -> None:
    """Refuse to skip items that still teach something.

    Raises:
        InputError: A reward is not 0 on them by definition, or the penalty acts on them.
    """
    others = [reward.name for reward in rewards if reward.weight and not reward.constant_per_item]
    if others:
        raise InputError(
            f"skip_unanimous is set, but reward {others[0]} is not 0 where annotators agree:",
            where="model.grouping",
            remedy="set it to false, or let SHALA be the only reward.",
        )
    if kl_weight:
        raise InputError(
            f"skip_unanimous is set, but the penalty (kl_weight {kl_weight}) acts on every response:",
            where="model.grouping",
            remedy="set it to false, or kl_weight to 0.",
        )


def cancelled_weight(rewards: Sequence[Reward], scale: Scale) -> list[str]:
    """A line for the user if the only reward's weight of items cancels in the advantages, else none."""
    active = [reward for reward in rewards if reward.weight]
    if scale != "group" or len(active) != 1 or not active[0].constant_per_item:
        return []
    return [
        f"note: {active[0].name} weighs items by a number that is the same for a whole group, and advantage_scale: "
        "group divides it out again; for it to act set model.grouping.advantage_scale to batch (of 2 prompts or "
        "more) or none"
    ]
