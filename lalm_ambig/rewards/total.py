"""The weighted sum of a run's rewards, each part kept for the log, and checked."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.errors import InputError
from lalm_ambig.rewards.base import Reward
from lalm_ambig.types import Groups, Item

Rewarded = dict[str, Float[Tensor, "group rollout"]]
"""Name of a reward → what each response earned by it, without its weight."""


def earned(
    rewards: Sequence[Reward], groups: Groups, *, label_dist: Tensor, items: Sequence[Item]
) -> Rewarded:
    """What each reward gives. InputError that names reward and item where a value is not finite."""
    parts = {reward.name: reward(groups, label_dist) for reward in rewards}
    for name, values in parts.items():
        wrong = (~torch.isfinite(values)).any(-1).nonzero()
        if len(wrong):
            item = items[int(wrong[0])].id
            raise InputError(
                f"reward {name} is {values[int(wrong[0])].tolist()} for item {item}: it must be finite.",
                where="model.rewards",
            )
    return parts


def weighted(rewards: Sequence[Reward], parts: Rewarded) -> Float[Tensor, "group rollout"]:
    """The sum of the parts, each times its reward's weight."""
    return torch.stack([reward.weight * parts[reward.name] for reward in rewards]).sum(0)


def perfect(rewards: Sequence[Reward], label_dist: Float[Tensor, "group category"]) -> Float[Tensor, "group"]:
    """What a response of the right form with p̂ = p would earn in all."""
    return torch.stack([reward.weight * reward.perfect(label_dist) for reward in rewards]).sum(0)
