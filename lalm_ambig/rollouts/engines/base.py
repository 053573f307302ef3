"""The interface of what samples responses. To add an engine, write `rollouts/engines/NAME.py` with one subclass."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lalm_ambig.core.errors import InputError
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
    ahead: bool = False
    """Whether some were asked for ahead (`Engine.begin`), of weights that the policy had then."""


class Engine(ABC):
    """Samples responses of a policy."""

    is_exact: ClassVar[bool]
    """Whether the responses are the policy's own: of its weights as they are, by its own products. If not, they are
    read by a pass of the policy, and the loss corrects for the engine's probabilities."""
    overlap: bool = False
    """Whether a step's responses are asked for while the step before it trains (`begin`)."""

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

    def begin(self, policy: Policy, batches: Sequence[Batch], request: Request, draw: Draw) -> None:
        """Ask for the responses of a later step with the weights of the last `update`, and do not wait for them.

        `sample` uses them at that step. Only engines whose `overlap` is true are called.

        Args:
            policy: The policy, for its tokens.
            batches: The later step's items.
            request: As that step will ask.
            draw: Seed and later step.

        Raises:
            InputError: The engine cannot.
        """
        raise InputError(
            f"{type(self).__name__} cannot sample while the policy trains.", where="model.engine"
        )

    def pending(self, policy: Policy) -> dict[str, Any]:
        """What was begun and not used yet, for a checkpoint; waited for. All processes must call.

        Args:
            policy: The policy, for its tokens.

        Raises:
            InputError: The engine has failed.
        """
        return {}

    def restore(self, pending: Sequence[dict[str, Any]]) -> None:
        """Take what was begun from a checkpoint.

        Args:
            pending: What `pending` gave in each process.

        Raises:
            InputError: There is something, and the engine begins nothing.
        """
        if any(pending):
            raise InputError(f"{type(self).__name__} has begun nothing.", where="model.engine")

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds, such as adapters on a server; it may be updated again."""


def samples_elsewhere(engine: Engine | None) -> bool:
    """Whether an engine samples with probabilities that are not exactly the policy's, which the loss corrects for."""
    return engine is not None and not engine.is_exact
