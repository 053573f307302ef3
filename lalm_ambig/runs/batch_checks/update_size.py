"""Divides the items of an optimiser step over processes and passes, so that hardware does not change the step."""

from jsonargparse import Namespace

from lalm_ambig.core.errors import InputError
from lalm_ambig.data.datamodule import DataModule


def divide_updates(data: DataModule, trainer: Namespace, *, world_size: int) -> None:
    """Set the trainer's `accumulate_grad_batches` so that a step has `data.items_per_update` items, if that is set.

    Args:
        data: Data as configured.
        trainer: The trainer's settings, which are changed.
        world_size: Number of processes.

    Raises:
        InputError: The items do not divide into passes, or the setting has another number.
    """
    total = data.items_per_update
    if total is None:
        return
    per_pass = data.batch_size * world_size
    if total % per_pass:
        raise InputError(
            f"items_per_update is {total}, but {_processes(world_size)} with batch_size {data.batch_size} take "
            f"{per_pass} items at once.",
            where="data",
            remedy=_divisors(total, world_size),
        )
    passes, configured = total // per_pass, int(trainer.accumulate_grad_batches or 1)
    if configured not in (1, passes):
        raise InputError(
            f"accumulate_grad_batches is {configured}, but data.items_per_update {total} makes it {passes}.",
            where="trainer",
            remedy=f"Leave it out, or set data.items_per_update to {per_pass * configured}.",
        )
    trainer.accumulate_grad_batches = passes


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _divisors(total: int, world_size: int) -> str:
    """Return the remedy: batch sizes that divide for these processes, or else numbers of processes."""
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
