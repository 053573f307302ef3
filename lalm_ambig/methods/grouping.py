"""How GRPO groups and compares responses, and the refusal of settings under which nothing could be learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.data.encoding import Readout
from lalm_ambig.objectives.advantages import Scale, centred, scaled
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.total import form_rewards


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
    `batch`, which is the whole optimiser step, or nothing (`none`). `leave_one_out` compares with the mean of the other
    responses, undivided: K/(K − 1) times `none`."""
    updates: int = 1
    """Optimiser steps on each batch of responses, μ."""
    mask_truncated: bool = False
    """Leave truncated responses out of the loss; they still count in the group's mean."""
    name_in_loss: bool = False
    """Train the tokens of the sampled class name and of what closes it, by the part of the advantage that comes from
    rewards of the name: the form's, and `label_shares`. False is the papers' form: the name is left out, and what
    closes it has the whole advantage."""
    skip_unanimous: bool = False
    """Sample nothing for items on which every response earns 0 by definition: with SHALA, those whose annotators agree.
    Their advantages are 0 either way; under `average: token` the tokens of other items then weigh more."""

    def __post_init__(self) -> None:
        for name in ("group_size", "updates"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}", where="model.grouping"
                )


@dataclass(frozen=True)
class Comparison:
    """How the rewards of a step's groups become advantages, over the groups of all processes."""

    scale: Scale
    baseline: Bool[Tensor, " trajectory"] | None = None
    """True on the trajectories that count in mean and deviation; None for all."""

    def advantages(self, rewards: Float[Tensor, "group trajectory"]) -> Float[Tensor, "group trajectory"]:
        """Advantages of this process's groups."""
        return self.part(rewards, of=rewards)

    def part(
        self, part: Float[Tensor, "group trajectory"], *, of: Float[Tensor, "group trajectory"]
    ) -> Float[Tensor, "group trajectory"]:
        """The part of the advantages that comes from a part of the rewards. All parts add up to the whole.

        Args:
            part: Part of each reward.
            of: The whole rewards, whose deviation divides.
        """
        differences = centred(part, baseline=self.baseline)
        if self.scale == "batch":
            of = torch.cat([rewards.to(of.device) for rewards in distributed.all_gather_object(of.cpu())])
        return scaled(differences, of, scale=self.scale, baseline=self.baseline)


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


def check_some_reward(rewards: Sequence[Reward], label_dist: Float[Tensor, "item category"]) -> None:
    """Refuse training items on which every response earns 0 by definition.

    Args:
        rewards: The run's rewards.
        label_dist: People's distributions of all training items.

    Raises:
        InputError: There is nothing to earn on any item.
    """
    active = [reward for reward in rewards if reward.weight]
    if all(bool(reward.always_zero(label_dist).all()) for reward in active):
        raise InputError(
            f"reward {active[0].name} is 0 on each of the {len(label_dist)} training items, whatever is answered: the "
            "votes of each agree, as a single vote does:",
            where="model.rewards",
            remedy="take agreement or brier, or set ambiguity of shala to false.",
        )


def check_names(grouping: Grouping, rewards: Sequence[Reward], readout: Readout) -> None:
    """Refuse `name_in_loss` where no reward tells names apart.

    Raises:
        InputError: The readout is verbalised, or no reward with a weight depends on the class name.
    """
    if not grouping.name_in_loss:
        return
    if readout == "verbalised":
        raise InputError(
            "name_in_loss is set, but a verbalised answer has no class name apart from it:",
            where="model.grouping",
            remedy="set it to false; the whole answer is in the loss.",
        )
    if not any(reward.weight for reward in form_rewards(rewards)):
        raise InputError(
            "name_in_loss is set, but no reward depends on the class name:",
            where="model.grouping",
            remedy="add the reward Format or LabelShares with a weight, or set it to false.",
        )


def check_shares(grouping: Grouping, rewards: Sequence[Reward], readout: Readout, *, curated: bool) -> None:
    """Refuse settings under which a reward of a group's labels is not what it says.

    Args:
        grouping: How groups are compared, and whether the names' tokens are in the loss.
        rewards: The run's rewards.
        readout: What responses are asked for.
        curated: Whether a curated response is in each group.

    Raises:
        InputError: Responses name no class, groups are too small or hold a curated response, advantages are divided by
            the group's deviation, or the names' tokens are not in the loss.
    """
    found = [reward for reward in rewards if reward.weight and reward.smallest_group > 1]
    if not found:
        return
    name, fewest = found[0].name, found[0].smallest_group
    rules = (
        (
            readout == "logits",
            f"reward {name} compares named classes, but a verbalised answer names none:",
            "set model.readout to logits, or take another reward.",
        ),
        (
            not curated,
            f"reward {name} compares the policy's own responses, but a curated one is in each group:",
            "leave model.curated out, or take another reward.",
        ),
        (
            grouping.group_size >= fewest,
            f"reward {name} needs groups of at least {fewest}, got group_size {grouping.group_size}:",
            f"set model.grouping.group_size to {fewest} or more.",
        ),
        (
            grouping.advantage_scale != "group",
            f"advantage_scale: group divides reward {name} by the group's deviation, and the shares then do not come "
            "to rest at people's:",
            "set model.grouping.advantage_scale to leave_one_out.",
        ),
        (
            grouping.name_in_loss,
            f"reward {name} depends on the class that is named, but the names' tokens are not in the loss:",
            "set model.grouping.name_in_loss to true.",
        ),
    )
    for holds, what, remedy in rules:
        if not holds:
            raise InputError(what, where="model.rewards", remedy=remedy)


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
    if grouping.advantage_scale == "leave_one_out" and grouping.group_size < 2:
        raise InputError(
            "advantage_scale: leave_one_out compares a response with the others, but group_size is 1:",
            where="model.grouping",
            remedy="set group_size to 2 or more.",
        )


def check_skipping(rewards: Sequence[Reward], weights: Mapping[str, float]) -> None:
    """Refuse to skip items that still teach something.

    Args:
        rewards: The run's rewards.
        weights: Weights by name of the loss's other terms, which act on every response.

    Raises:
        InputError: A reward is not 0 on them by definition, or another term acts on them.
    """
    others = [reward.name for reward in rewards if reward.weight and not reward.constant_per_item]
    if others:
        raise InputError(
            f"skip_unanimous is set, but reward {others[0]} is not 0 where annotators agree:",
            where="model.grouping",
            remedy="set it to false, or let SHALA be the only reward.",
        )
    for name, weight in weights.items():
        if weight:
            raise InputError(
                f"skip_unanimous is set, but {name} ({weight}) acts on every response:",
                where="model.grouping",
                remedy=f"set it to false, or {name} to 0.",
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
