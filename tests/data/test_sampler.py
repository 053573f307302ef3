"""The order of training: random, of like length, the same for a seed, and to be taken up in mid-epoch."""

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from lalm_ambig.data.sampler import LengthBuckets, ResumableLoader, StepShape

LENGTHS = [float(n * 37 % 101) for n in range(103)]


@pytest.mark.parametrize("count", [1, 7, 8, 103])
def test_every_item_comes_once_an_epoch(count: int) -> None:
    order = LengthBuckets(LENGTHS[:count], StepShape(8))
    batches = list(order)
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    assert len(batches) == len(order)
    assert all(len(batch) == 8 for batch in batches) or sum(len(batch) < 8 for batch in batches) == 1


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_items_and_step_as_often(world: int) -> None:
    parts = [list(LengthBuckets(LENGTHS[:96], StepShape(8, rank, world))) for rank in range(world)]
    assert {len(part) for part in parts} == {12 // world}
    flat = [index for part in parts for batch in part for index in batch]
    assert sorted(flat) == list(range(96))


@pytest.mark.parametrize("count", [96, 103, 5])
def test_the_items_of_an_update_do_not_depend_on_how_it_is_divided(count: int) -> None:
    def updates(batch_size: int, *, world: int, passes: int) -> list[list[int]]:
        orders = [
            LengthBuckets(LENGTHS[:count], StepShape(batch_size, rank, world, passes))
            for rank in range(world)
        ]
        shares = [list(order) for order in orders]
        assert all(len(share) == len(order) for share, order in zip(shares, orders, strict=True))
        runs = range(0, len(shares[0]), passes)
        return [sorted(i for share in shares for b in share[run : run + passes] for i in b) for run in runs]

    whole = updates(8, world=1, passes=1)
    assert whole != updates(4, world=1, passes=1)
    divided = [updates(4, world=1, passes=2), updates(2, world=2, passes=2), updates(1, world=1, passes=8)]
    for other in divided:
        for found, own in zip(other, whole, strict=True):
            assert found == own or (len(own) < 8 and set(own) <= set(found)), "only a short one is filled up"


@pytest.mark.parametrize(("count", "world"), [(103, 4), (9, 4), (3, 4), (3, 5)])
def test_where_batches_do_not_go_round_some_come_again(count: int, world: int) -> None:
    parts = [list(LengthBuckets(LENGTHS[:count], StepShape(8, rank, world))) for rank in range(world)]
    assert len({len(part) for part in parts}) == 1
    assert {index for part in parts for batch in part for index in batch} == set(range(count))


@pytest.mark.parametrize("world", [1, 2])
def test_a_last_batch_that_is_too_small_is_filled_up(world: int) -> None:
    """9 items in batches of 4 leave one over, which another one joins; without need nothing comes twice."""
    found = []
    for rank in range(world):
        order = LengthBuckets(LENGTHS[:9], StepShape(4, rank, world, smallest=2))
        batches = list(order)
        assert len(batches) == len(order)
        found += batches
    assert sorted(map(len, found))[:world] == [2 // world] * world, (
        "the step has two items, of all processes together"
    )
    assert all(len(set(batch)) == len(batch) for batch in found)
    assert {index for batch in found for index in batch} == set(range(9))
    filled = LengthBuckets(LENGTHS[:10], StepShape(4, smallest=2))
    assert list(filled) == list(LengthBuckets(LENGTHS[:10], StepShape(4)))


def test_the_order_follows_seed_and_epoch() -> None:
    order = LengthBuckets(LENGTHS, StepShape(8), seed=3)
    first, again = list(order), list(order)
    assert first == again
    order.set_epoch(1)
    second = list(order)
    assert second != first
    assert list(LengthBuckets(LENGTHS, StepShape(8), seed=4)) != first
    order.set_epoch(0)
    assert list(order) == first


def test_batches_are_of_like_length_in_no_order_of_length() -> None:
    batches = [[LENGTHS[i] for i in batch] for batch in LengthBuckets(LENGTHS, StepShape(8))]
    spread = sum(max(batch) - min(batch) for batch in batches) / len(batches)
    plain = torch.randperm(103, generator=torch.Generator().manual_seed(0)).split(8)
    unsorted = sum(max(LENGTHS[i] for i in b) - min(LENGTHS[i] for i in b) for b in plain) / len(plain)
    assert spread < unsorted / 4
    means = [sum(batch) / len(batch) for batch in batches]
    assert means not in (sorted(means), sorted(means, reverse=True))


def test_a_skip_counts_once() -> None:
    order = LengthBuckets(LENGTHS, StepShape(8))
    whole = list(order)
    order.skip = 5
    assert list(order) == whole[5:]
    assert list(order) == whole


class Recorder(lightning.LightningModule):
    """Notes which items each step saw, and stops like a killed process would."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[int]] = []
        self.stop_after = stop_after

    def training_step(self, batch: list[int], batch_idx: int) -> torch.Tensor:
        if len(self.seen) == self.stop_after:
            raise KeyboardInterrupt
        self.seen.append(batch)
        return self.weight.sum()

    def train_dataloader(self) -> ResumableLoader:
        order = LengthBuckets(LENGTHS[:20], StepShape(4), seed=1)
        return ResumableLoader(range(20), order, trainer=self.trainer, collate_fn=list)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(folder: Path, module: Recorder, *, resume: bool) -> None:
    saving = ModelCheckpoint(
        folder,
        filename="last",
        every_n_train_steps=1,
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    trainer: Any = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        callbacks=[saving],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    try:
        trainer.fit(
            module, ckpt_path=folder / "last.ckpt" if resume else None, weights_only=True if resume else None
        )
    except (KeyboardInterrupt, SystemExit):
        return


@pytest.mark.filterwarnings(
    "ignore:.*:UserWarning",
    "ignore:.*LeafSpec.*",
    "ignore:.*:lightning.fabric.utilities.rank_zero.LightningDeprecationWarning",
)
@pytest.mark.parametrize("stop_after", [3, 5, 8])
def test_a_run_that_was_stopped_sees_exactly_the_remaining_batches(stop_after: int, tmp_path: Path) -> None:
    whole = Recorder()
    train(tmp_path / "whole", whole, resume=False)
    assert len(whole.seen) == 15
    first = Recorder(stop_after=stop_after)
    train(tmp_path / "stopped", first, resume=False)
    rest = Recorder()
    train(tmp_path / "stopped", rest, resume=True)
    assert first.seen + rest.seen == whole.seen
