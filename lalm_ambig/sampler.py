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
    """Indices in batches; every process of a group gets its own batches, and all get the same number."""

    def __init__(
        self,
        lengths: Sequence[float],
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        repeats: Repeats | None = None,
    ) -> None:
        self.repeats = repeats or Repeats()
        self.lengths = torch.tensor(lengths, dtype=torch.float32)
        self.batch_size = batch_size
        self.smallest = 1
        """Fewest items of a batch: a last one that has less is filled up from the beginning of the order."""
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = 0
        self.skip = 0
        self.sampler = self  # where Lightning looks for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is that epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        own = self._of_one_process()
        if self.repeats.times == 1:
            return own
        return -(-own // self.repeats.batches) * self.repeats.batches * self.repeats.times

    def _of_one_process(self) -> int:
        batches = -(-len(self.lengths) // self.batch_size)
        return -(-batches // self.world)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        chunk = CHUNK_BATCHES * self.batch_size
        by_length = [part[self.lengths[part].argsort(stable=True)] for part in torch.split(order, chunk)]
        batches = [part.tolist() for part in torch.split(torch.cat(by_length), self.batch_size)]
        if len(batches) > 1:
            batches[-1] += batches[0][: max(0, self.smallest - len(batches[-1]))]
        mixed = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        count = self._of_one_process() * self.world  # every process steps as often
        mixed = [mixed[i % len(mixed)] for i in range(count)]
        start, self.skip = self.skip, 0
        yield from self.repeats.spread(mixed[self.rank :: self.world])[start:]


class ResumableLoader(DataLoader[Any]):
    """A loader whose place in the epoch is part of a checkpoint."""

    trainer: Any = None

    def state_dict(self) -> dict[str, int]:
        """Epoch and batches already trained on in it."""
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        done = 0 if progress.is_last_batch else progress.current.processed
        return {"epoch": self.trainer.current_epoch, "batches": done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind the batches of that state."""
        assert isinstance(self.batch_sampler, LengthBuckets)
        self.batch_sampler.set_epoch(state["epoch"])
        self.batch_sampler.skip = state["batches"]
