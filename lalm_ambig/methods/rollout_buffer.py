"""What was sampled for an optimiser step: for all of its passes at once, kept for as many steps as are taken on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lalm_ambig.core.types import Batch

T = TypeVar("T")


@dataclass(frozen=True)
class Held(Generic[T]):
    """The rollouts of one pass in the buffer."""

    used: int
    """Optimiser steps taken on them so far."""
    rollouts: T


class RolloutBuffer(Generic[T]):
    """Rollouts of the passes of recent steps, each kept until so many optimiser steps were taken on it."""

    def __init__(self, *, uses: int) -> None:
        self.uses = uses
        self.held: dict[str, Held[T]] = {}

    def get(self, batch: Batch, collect: Callable[[Sequence[Batch]], Sequence[T]]) -> T:
        """The batch's rollouts: those held, or new ones.

        Args:
            batch: The batch of a pass. In a step's first pass it brings those of the others.
            collect: Samples for several batches; called with all of the step's.
        """
        number = _number(batch)
        if _key(batch, number) not in self.held:
            batches = batch.of_step
            for place, (one, rollouts) in enumerate(zip(batches, collect(batches), strict=True), number):
                self.held[_key(one, place)] = Held(0, rollouts)
        return self.held[_key(batch, number)].rollouts

    def put(self, batch: Batch, rollouts: T) -> T:
        """Count one use, hold the rollouts if they will be used again, and return them."""
        key = _key(batch, _number(batch))
        used = self.held.pop(key).used + 1 if key in self.held else 1
        if used < self.uses:
            self.held[key] = Held(used, rollouts)
        return rollouts


def _number(batch: Batch) -> int:
    return 0 if batch.step is None else batch.step.number


def _key(batch: Batch, number: int) -> str:
    """Name of a pass: its items, after its number, which keeps apart two passes over the same items."""
    ids = "\n".join(item.id for item in batch.items)
    return f"{number}\n{ids}" if number else ids
