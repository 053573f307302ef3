"""The base of all rewards. To add one, write `rewards/NAME.py` with one subclass; `rewards: [NAME]` finds it."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Groups


class Reward(ABC):
    """A number per response of each group; higher is better."""

    weight: float
    """Factor in the sum of all rewards, at least 0."""

    def __init__(self, *, weight: float = 1.0) -> None:
        """Args:
        weight: Factor in the sum of all rewards, at least 0.

        Raises:
            InputError: The weight is negative or infinite.
        """
        if not 0 <= weight < float("inf"):
            raise InputError(f"weight must be at least 0, got {weight}", where="model.rewards")
        self.weight = weight

    @property
    def name(self) -> str:
        """The module's name, for logs."""
        return type(self).__module__.rpartition(".")[2]

    def __call__(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        """The reward of each response, without the weight; `minimum` for one that could not be read.

        Args:
            groups: Sampled responses and their distributions.
            label_dist: People's distribution for each group's item.
        """
        return self.score(groups, label_dist).masked_fill(~groups.parsed, self.minimum)

    @abstractmethod
    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        """The reward of each response as if all could be read; the caller replaces it where one could not.

        Args:
            groups: Sampled responses and their distributions.
            label_dist: People's distribution for each group's item.
        """

    @property
    @abstractmethod
    def minimum(self) -> float:
        """Reward of an unparsable response; a lower bound of all rewards of verbalised responses."""

    @abstractmethod
    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """The most that a response to each item can earn, without the weight.

        Unless the reward says otherwise, the right form with p̂ = p earns it.
        """

    @property
    def constant_per_item(self) -> bool:
        """Whether the reward has a factor per item that is the same for all responses and weighs items."""
        return False

    @property
    def depends_on_name(self) -> bool:
        """Whether it depends on what a response writes after the place where a logit readout reads."""
        return False

    @property
    def smallest_group(self) -> int:
        """Fewest responses of a group that it needs: 1 for a reward that judges each response by itself.

        Any other compares the classes that the responses of a group name, so each must be the policy's own.
        """
        return 1

    def always_zero(self, label_dist: Float[Tensor, "group category"]) -> Bool[Tensor, " group"]:
        """True on items for which every response earns 0 by definition, whatever it says."""
        return torch.zeros(len(label_dist), dtype=torch.bool, device=label_dist.device)
