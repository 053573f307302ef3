"""The weighted sum of a run's rewards; each part is checked, and kept for the log."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Groups, Item
from lalm_ambig.rewards.base import Reward

RewardParts = dict[str, Float[Tensor, "group rollout"]]
"""Name of a reward → what each response earned by it, without its weight."""


def compute_rewards(
    rewards: Sequence[Reward],
    groups: Groups,
    *,
    label_dist: Float[Tensor, "group category"],
    items: Sequence[Item],
) -> RewardParts:
    """Each reward of each response.

    Args:
        rewards: The run's rewards.
        groups: Sampled responses and their distributions.
        label_dist: People's distribution for each group's item.
        items: The groups' items, for messages.

    Raises:
        InputError: A predicted distribution or a reward is not finite; names the item.
    """
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


def total_reward(rewards: Sequence[Reward], parts: RewardParts) -> Float[Tensor, "group rollout"]:
    """The sum of the parts, each times its reward's weight.

    >>> from lalm_ambig.rewards.shala import Shala
    >>> total_reward([Shala(weight=2.0)], {"shala": torch.tensor([[0.25, 0.5]])}).tolist()
    [[0.5, 1.0]]
    """
    shape = next(iter(parts.values()))
    return sum((reward.weight * parts[reward.name] for reward in rewards), torch.zeros_like(shape))


def form_rewards(rewards: Sequence[Reward]) -> list[Reward]:
    """Those that depend on the class name that a response writes."""
    return [reward for reward in rewards if reward.depends_on_name]


def upper_bound(
    rewards: Sequence[Reward], label_dist: Float[Tensor, "group category"]
) -> Float[Tensor, " group"]:
    """The most that a response to each item can earn in all: the weighted sum of the rewards' upper bounds.

    >>> from lalm_ambig.rewards.agreement import Agreement
    >>> from lalm_ambig.rewards.format import Format
    >>> round(upper_bound([Agreement(), Format(weight=0.1)], torch.tensor([[0.5, 0.5]])).item(), 4)
    0.1
    """
    none = torch.zeros_like(label_dist[:, 0])
    return sum((reward.weight * reward.upper_bound(label_dist) for reward in rewards), none)
