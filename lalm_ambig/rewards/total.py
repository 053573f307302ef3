"""The weighted sum of a run's rewards, each part kept for the log, and checked."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Groups, Item
from lalm_ambig.rewards.base import Reward

Rewarded = dict[str, Float[Tensor, "group rollout"]]
"""Name of a reward → what each response earned by it, without its weight."""


def compute_rewards(
    rewards: Sequence[Reward], groups: Groups, *, label_dist: Tensor, items: Sequence[Item]
) -> Rewarded:
    """What each reward gives. InputError that names the item where a distribution or a reward is not finite."""
    _check_finite("the predicted distribution", groups.predicted_dist, items)
    parts = {reward.name: reward(groups, label_dist) for reward in rewards}
    for name, values in parts.items():
        _check_finite(f"reward {name}", values, items)
    return parts


def _check_finite(what: str, values: Float[Tensor, " group *rest"], items: Sequence[Item]) -> None:
    wrong = (~torch.isfinite(values)).flatten(1).any(-1).nonzero()
    if len(wrong):
        group = int(wrong[0])
        raise InputError(
            f"{what} is {values[group].tolist()} for item {items[group].id}: it must be finite.",
            where="model.rewards",
        )


def total_reward(rewards: Sequence[Reward], parts: Rewarded) -> Float[Tensor, "group rollout"]:
    """The sum of the parts, each times its reward's weight."""
    return torch.stack([reward.weight * parts[reward.name] for reward in rewards]).sum(0)


def upper_bound(
    rewards: Sequence[Reward], label_dist: Float[Tensor, "group category"]
) -> Float[Tensor, " group"]:
    """What no response can earn more than in all: the sum of each reward's most, which p̂ = p and the right form earn
    where every reward says so."""
    return torch.stack([reward.weight * reward.upper_bound(label_dist) for reward in rewards]).sum(0)
