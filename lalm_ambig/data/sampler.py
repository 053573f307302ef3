"""Batches of items of like length, in an order that a seed and an epoch fix, and a loader that can go on mid-epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

CHUNK_BATCHES = 32
"""Items are shuffled, cut into chunks of so many batches and sorted within each: random, yet hardly padded."""


@dataclass(frozen=True)
class Repeats:
    """Runs of batches that come several times: one optimiser step each time, on the same responses."""

    times: int = 1
    """How often each run comes."""
    batches: int = 1
    """Batches of a run: those of one optimiser step."""

    def spread(self, batches: list[list[int]]) -> list[list[int]]:
        """The batches with each run repeated; the last one filled up from the beginning, if it comes again."""
        if self.times == 1:
            return batches
        missing = -len(batches) % self.batches
        filled = batches + [batches[i % len(batches)] for i in range(missing)]
        runs = [filled[i : i + self.batches] for i in range(0, len(filled), self.batches)]
        return [batch for run in runs for _ in range(self.times) for batch in run]


class LengthBuckets(Sampler[list[int]]):
    """Indices in batches. Each step's items are chosen for all processes and passes together, and each takes its part
    of them: which items are trained on in a step depends on their total number, not on how they are shared."""

    def __init__(
        self,
        lengths: Sequence[float],
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        passes: int = 1,
        repeats: Repeats | None = None,
    ) -> None:
        """
        Args:
            lengths: Of the items, in any unit.
            batch_size: Items of one process in a pass.
            seed: Of the order.
            rank: Number of this process.
            world: Number of processes.
            passes: Batches of one optimiser step that are chosen together. Where its items do not divide, its passes
                differ by one item at most.
            repeats: Whether batches come several times.
        """
        self.repeats = repeats or Repeats()
        self.lengths = torch.as_tensor(lengths, dtype=torch.float32)
        self.batch_size = batch_size
        self.smallest = 1
        """Fewest items of a step: a last one that has less is filled up from the beginning of the order."""
        self.seed, self.rank, self.world, self.passes = seed, rank, world, passes
        self.epoch = 0
        self.skip = 0
        self.sampler = self  # where Lightning looks for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is that epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        steps = -(-len(self.lengths) // self._together) * self.passes
        if self.repeats.times == 1:
            return steps
        return -(-steps // self.repeats.batches) * self.repeats.batches * self.repeats.times

    @property
    def _together(self) -> int:
        """Items of a step, of all processes and passes."""
        return self.batch_size * self.world * self.passes

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        chunk = CHUNK_BATCHES * self._together
        by_length = [part[self.lengths[part].argsort(stable=True)] for part in torch.split(order, chunk)]
        steps = [part.tolist() for part in torch.split(torch.cat(by_length), self._together)]
        missing = max(0, min(self.smallest, len(self.lengths)) - len(steps[-1]))
        steps[-1] += steps[0][:missing]
        fewest = self.world * self.passes
        while len(steps[-1]) < fewest:  # every process has something to do in every pass
            steps[-1] += steps[0][: fewest - len(steps[-1])]
        mixed = [steps[i] for i in torch.randperm(len(steps), generator=generator).tolist()]
        start, self.skip = self.skip, 0
        passes = [step[number :: self.passes] for step in mixed for number in range(self.passes)]
        yield from self.repeats.spread([items[self.rank :: self.world] for items in passes])[start:]


class ResumableLoader(DataLoader[Any]):
    """A loader whose place in the epoch is part of a checkpoint.

    The trainer asks for the place before it trains on a batch (see `runs.checkpoints.callback`). What it has processed
    by then must not come again.
    """

    trainer: Any = None

    def state_dict(self) -> dict[str, int]:
        """Epoch and batches already trained on in it."""
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed
        epoch = self.trainer.current_epoch
        return {"epoch": epoch, "batches": done} if done < len(self) else {"epoch": epoch + 1, "batches": 0}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind the batches of that state."""
        assert isinstance(self.batch_sampler, LengthBuckets)
        self.batch_sampler.set_epoch(state["epoch"])
        self.batch_sampler.skip = state["batches"]
