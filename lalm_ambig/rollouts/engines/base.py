"""The interface of what samples responses. To add an engine, write `rollouts/engines/NAME.py` with one subclass."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lalm_ambig.core.types import Batch
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.generate import GeneratedBatch, Request, Response
from lalm_ambig.rollouts.sampling import Sampling


@dataclass(frozen=True)
class Draw:
    """What the random numbers of a call depend on, beside an item's id."""

    seed: int
    """Seed of the run."""
    step: int
    """Training step."""


@dataclass(frozen=True)
class Sampled:
    """Responses, of which row g·K + k is response k to prompt g."""

    responses: Sequence[Response]
    generated: GeneratedBatch | None = None
    """The decode loop's state, which answers are read from; None where the policy reads them by a pass of its own."""


class Engine(ABC):
    """Samples responses of a policy."""

    is_exact: ClassVar[bool]
    """Whether the responses are the policy's own: of its weights as they are, by its own products. If not, they are
    read by a pass of the policy, and the loss corrects for the engine's probabilities."""

    @abstractmethod
    def check_reachable(self) -> None:
        """Ask whether the engine is there, before anything is loaded.

        Raises:
            InputError: It is not.
        """

    @abstractmethod
    def check(self, policy: Policy, sampling: Sampling) -> None:
        """Refuse what the engine cannot sample rightly; called when the weights are read. All processes must call.

        Args:
            policy: The loaded policy.
            sampling: The settings of training.

        Raises:
            InputError: It cannot sample for this policy, or not with these settings.
        """

    @abstractmethod
    def update(self, policy: Policy, step: int) -> None:
        """Give the engine the policy's weights, once per step. All processes must call, with undivided weights.

        Args:
            policy: The policy.
            step: Optimiser steps taken so far.

        Raises:
            InputError: The engine does not compute with these weights.
        """

    @abstractmethod
    def sample(self, policy: Policy, batch: Batch, request: Request, draw: Draw) -> Sampled:
        """Sample `request.group_size` responses to each prompt.

        An item's responses depend on `draw` and its id, not on the batch, as far as the engine's rounding allows.

        Args:
            policy: The policy, for its tokens.
            batch: Items with left-padded prompts.
            request: Number and ends of the responses.
            draw: Seed and step.

        Raises:
            InputError: The engine has failed; what it gave is not used.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds, such as adapters on a server; it may be updated again."""


def samples_elsewhere(engine: Engine | None) -> bool:
    """Whether an engine samples with probabilities that are not exactly the policy's, which the loss corrects for."""
    return engine is not None and not engine.is_exact
