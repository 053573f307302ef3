"""Batches of items of like length, in an order fixed by seed and epoch, and a loader that resumes within an epoch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from lalm_ambig.core.stopping import ignore_signals
from lalm_ambig.core.types import Batch, Item, StepPlace

CHUNK_BATCHES = 32
"""Batches in a chunk. Items are shuffled, cut into chunks, and sorted by length within each: hardly any padding."""


class StepPass(list[int]):
    """Indices of the items of one pass of an optimiser step, with the place of the pass in its step."""

    def __init__(
        self,
        passes: Sequence[Sequence[int]],
        number: int,
        *,
        items: int,
        following: Sequence[Sequence[int]] = (),
    ) -> None:
        """Args:
        passes: Indices of each pass of the step, of this process.
        number: Which of the passes this is, from 0.
        items: Items of the step, over all processes.
        following: Indices of each pass of the step with other items that comes next, of this process.
        """
        super().__init__(passes[number])
        self.place = StepPlace(number, len(passes), items)
        self.later = [list(indices) for indices in passes[1:]] if number == 0 else []
        """Indices of the other passes, in the first."""
        self.ahead = [list(indices) for indices in following] if number == 0 else []
        """Indices of the next step's passes, in the first."""


@dataclass(frozen=True)
class StepShape:
    """How many items an optimiser step has, and which of them are this process's."""

    batch_size: int
    """Items of one process in a pass."""
    rank: int = 0
    world_size: int = 1
    passes: int = 1
    """Batches of one optimiser step that are chosen together."""
    smallest: int = 1
    """Fewest items of a step. A smaller last step is filled up from the first one."""
    times: int = 1
    """How often each step comes: several optimiser steps on the same responses."""

    @property
    def items(self) -> int:
        """Items of a step, over all processes and passes."""
        return self.batch_size * self.world_size * self.passes


class LengthBuckets(Sampler[StepPass]):
    """Batches of item indices, of like length and in random order.

    The items of a step are chosen once for all processes and passes, then divided among them. So a step's items depend
    on their total number only. Where the number does not divide, passes differ by at most one item.
    """

    def __init__(self, lengths: Sequence[float] | np.ndarray, shape: StepShape, *, seed: int = 0) -> None:
        """Args:
        lengths: Length of each item, in any unit.
        shape: Items of a step, and this process's part of them.
        seed: Seed of the order.
        """
        self.lengths = torch.as_tensor(lengths, dtype=torch.float32)
        self.shape, self.seed = shape, seed
        self.epoch = 0
        self.skip = 0
        self.sampler = self  # where Lightning looks for `set_epoch`

    @property
    def batch_size(self) -> int:
        """Items of one process in a pass: DeepSpeed's strategy asks the sampler for it."""
        return self.shape.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration have that epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.shape.items) * self.shape.passes * self.shape.times

    def __iter__(self) -> Iterator[StepPass]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        shape = self.shape
        chunk = CHUNK_BATCHES * shape.items
        by_length = [part[self.lengths[part].argsort(stable=True)] for part in torch.split(order, chunk)]
        steps = [part.tolist() for part in torch.split(torch.cat(by_length), shape.items)]
        missing = max(0, min(shape.smallest, len(self.lengths)) - len(steps[-1]))
        steps[-1] += steps[0][:missing]
        fewest = shape.world_size * shape.passes
        while len(steps[-1]) < fewest:  # every process has something to do in every pass
            steps[-1] += steps[0][: fewest - len(steps[-1])]
        mixed = [steps[i] for i in torch.randperm(len(steps), generator=generator).tolist()]
        start, self.skip = self.skip, 0
        pairs = zip(mixed, [*mixed[1:], []], strict=True)
        passes = (one for step, following in pairs for one in self._passes(step, following))
        yield from islice(passes, start, None)

    def _passes(self, step: list[int], following: list[int]) -> list[StepPass]:
        """This process's passes over a step's items, as often as the step comes. The first knows what follows."""
        passes, ahead = self._divided(step), self._divided(following) if following else []
        return [
            StepPass(passes, number, items=len(step), following=() if time else ahead)
            for time in range(self.shape.times)
            for number in range(self.shape.passes)
        ]

    def _divided(self, step: list[int]) -> list[list[int]]:
        """This process's items of each pass over a step's items."""
        shape = self.shape
        return [
            step[number :: shape.passes][shape.rank :: shape.world_size] for number in range(shape.passes)
        ]


@dataclass(frozen=True)
class PassItems:
    """Items of a pass, and of those that come with it."""

    place: StepPlace
    passes: list[list[Item]]
    """Of the pass itself, and after them those of the step's other passes."""
    ahead: list[list[Item]]
    """Of the next step's passes."""


class StepItems(Dataset[Any]):
    """Training items by pass, each with the items of the other passes of its step where they are wanted."""

    def __init__(self, items: Sequence[Item], *, whole_steps: bool, next_step: bool = False) -> None:
        """Args:
        items: Training items.
        whole_steps: Whether a step's first pass brings the items of its other passes.
        next_step: Whether it brings those of the next step, too.
        """
        self.items, self.whole_steps, self.next_step = items, whole_steps, next_step

    def __len__(self) -> int:
        return len(self.items)

    def __getitems__(self, indices: StepPass) -> PassItems:
        """The items of a pass, and of those that come with it."""
        passes = [indices, *indices.later] if self.whole_steps else [indices]
        ahead = indices.ahead if self.next_step else []
        return PassItems(indices.place, self._of(passes), self._of(ahead))

    def _of(self, passes: Sequence[Sequence[int]]) -> list[list[Item]]:
        return [[self.items[index] for index in one] for one in passes]


@dataclass(frozen=True)
class StepCollator:
    """Makes the batch of a pass, with those that come with it."""

    encode: Callable[[Sequence[Item]], Batch]

    def __call__(self, step_pass: PassItems) -> Batch:
        first, *later = (self.encode(items) for items in step_pass.passes)
        ahead = tuple(self.encode(items) for items in step_pass.ahead)
        return replace(first, step=replace(step_pass.place, later=tuple(later), ahead=ahead))


class ResumableLoader(DataLoader[Any]):
    """A loader whose place in the epoch is part of a checkpoint.

    The trainer asks for the place before it trains on a batch (see `runs.checkpoints.callback`). A batch that was
    processed by then does not come again.
    """

    def __init__(
        self,
        dataset: Any,
        order: LengthBuckets,
        *,
        trainer: Any,
        collate_fn: Callable[[Any], Any],
        workers: int = 0,
    ) -> None:
        """Args:
        dataset: Items by index.
        order: Their batches.
        trainer: Lightning's trainer, which counts the batches.
        collate_fn: Makes a batch of items.
        workers: Processes that load batches.
        """
        super().__init__(
            dataset,
            batch_sampler=order,
            collate_fn=collate_fn,
            num_workers=workers,
            worker_init_fn=ignore_signals,
        )
        self.order, self.trainer, self.workers = order, trainer, workers

    def state_dict(self) -> dict[str, int]:
        """Epoch, and the number of its batches that were trained on."""
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed
        epoch = self.trainer.current_epoch
        return {"epoch": epoch, "batches": done} if done < len(self) else {"epoch": epoch + 1, "batches": 0}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after the batches of that state."""
        self.order.set_epoch(state["epoch"])
        self.order.skip = state["batches"]
