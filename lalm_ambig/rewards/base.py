"""What a response earns. To add a reward, write `rewards/NAME.py` with one subclass and name its class path in YAML."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.errors import InputError
from lalm_ambig.types import Groups


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

    @abstractmethod
    def __call__(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        """The reward of each response, without the weight."""

    @abstractmethod
    def perfect(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, "group"]:
        """What a response of the right form whose p̂ is p would earn, without the weight: no response earns more."""
