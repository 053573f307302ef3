"""How the items of one optimiser step are divided over processes and passes: hardware changes nothing else."""

from jsonargparse import Namespace

from lalm_ambig.core.errors import InputError
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.methods.base import Method


def divide_updates(model: Method, data: DataModule, trainer: Namespace, *, world_size: int) -> None:
    """Set the trainer's `accumulate_grad_batches` so that a step has `data.items_per_update` items, where that is set.

    InputError in one line where no whole number of passes does, where the setting says another number, or where the
    method compares all items of a step with each other and they do not fit into one pass.
    """
    total = data.items_per_update
    if total is None:
        return
    each = data.batch_size * world_size
    if total % each:
        raise InputError(
            f"items_per_update is {total}, but {_processes(world_size)} with batch_size {data.batch_size} take {each} "
            "items at once.",
            where="data",
            remedy=_divisors(total, world_size),
        )
    passes, configured = total // each, int(trainer.accumulate_grad_batches or 1)
    if configured not in (1, passes):
        raise InputError(
            f"accumulate_grad_batches is {configured}, but data.items_per_update {total} makes it {passes}.",
            where="trainer",
            remedy=f"Leave it out, or set data.items_per_update to {each * configured}.",
        )
    if passes > 1 and model.compares:
        raise InputError(
            f"{model.compares} compares the {total} items of an update, but they come in {passes} passes of {each}.",
            where="model",
            remedy=f"Set data.batch_size to {total // world_size}."
            if total % world_size == 0
            else "Use fewer processes.",
        )
    trainer.accumulate_grad_batches = passes


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _divisors(total: int, world_size: int) -> str:
    """What would divide: a batch size for these processes, else a number of processes."""
    if total % world_size == 0:
        share = total // world_size
        sizes = ", ".join(str(n) for n in range(1, share + 1) if share % n == 0)
        return (
            f"Set --data.batch_size to one of {sizes}; another --data.items_per_update is another experiment."
        )
    counts = ", ".join(str(n) for n in range(1, total + 1) if total % n == 0)
    return (
        f"Use one of {counts} processes (--trainer.devices) and a --data.batch_size that divides; another "
        "--data.items_per_update is another experiment."
    )
