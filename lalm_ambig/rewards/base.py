"""What a response earns. To add a reward, write `rewards/NAME.py` with one subclass and name its class path in YAML."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Groups


class Reward(ABC):
    """A number for each response of each group; higher is better."""

    weight: float

    def __init__(self, *, weight: float) -> None:
        """
        Args:
            weight: Factor in the sum of all rewards, at least 0.
        """
        if not 0 <= weight < float("inf"):
            raise InputError(f"weight must be at least 0, got {weight}", where="model.rewards")
        self.weight = weight

    @property
    def name(self) -> str:
        """For logs: the module's name."""
        return type(self).__module__.rpartition(".")[2]

    def __call__(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        """The reward of each response, without the weight; `minimum` where a response could not be read (SPEC 2)."""
        return self.score(groups, label_dist).masked_fill(~groups.parsed, self.minimum)

    @abstractmethod
    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        """The reward of each response as if all could be read: what stands where one could not is not looked at."""

    @property
    @abstractmethod
    def minimum(self) -> float:
        """What a response earns that could not be read: no response that states its distribution earns less."""

    @abstractmethod
    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        """The most that a response to each item can earn, without the weight: by the right form with p̂ = p, unless the
        reward says otherwise."""

    @property
    def constant_per_item(self) -> bool:
        """Whether a factor that is the same for all responses to an item weighs items against each other."""
        return False

    def always_zero(self, label_dist: Float[Tensor, "group category"]) -> Bool[Tensor, " group"]:
        """True on items for which every response earns 0 by definition, whatever it says."""
        return torch.zeros(len(label_dist), dtype=torch.bool, device=label_dist.device)
