"""Batches of items of like length, in an order that a seed and an epoch fix, and a loader that can go on mid-epoch."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

CHUNK_BATCHES = 32
"""Items are shuffled, cut into chunks of so many batches and sorted within each: random, yet hardly padded."""


class LengthBuckets(Sampler[list[int]]):
    """Indices in batches; every process of a group gets its own batches, and all get the same number."""

    def __init__(
        self, lengths: Sequence[float], batch_size: int, *, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.lengths = torch.tensor(lengths, dtype=torch.float32)
        self.batch_size = batch_size
        self.seed, self.rank, self.world = seed, rank, world
        self.epoch = 0
        self.skip = 0
        self.sampler = self  # where Lightning looks for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is that epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        batches = -(-len(self.lengths) // self.batch_size)
        return -(-batches // self.world)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        chunk = CHUNK_BATCHES * self.batch_size
        by_length = [part[self.lengths[part].argsort(stable=True)] for part in torch.split(order, chunk)]
        batches = [part.tolist() for part in torch.split(torch.cat(by_length), self.batch_size)]
        mixed = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        mixed = [mixed[i % len(mixed)] for i in range(len(self) * self.world)]  # every process steps as often
        start, self.skip = self.skip, 0
        yield from mixed[self.rank :: self.world][start:]


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
