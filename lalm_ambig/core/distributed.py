"""Communication between the processes of a run. Every function also works with one process, without a group.

Rooms above use processes only through this module, so that the same code runs on one device and on many. The names are
those of torch and accelerate. "All must call" means that every process of the run has to call the function.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from lalm_ambig.core.errors import InputError, machine_error

T = TypeVar("T")


def started() -> bool:
    """Whether this process belongs to an initialised process group."""
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """Number of processes, at least 1."""
    return dist.get_world_size() if started() else 1


def rank() -> int:
    """Rank of this process, 0 for the first."""
    return dist.get_rank() if started() else 0


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return rank() == 0


def all_gather_object(value: T) -> list[T]:
    """The values of all processes, in the order of their ranks. All must call."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def on_rank_zero(action: Callable[[], T]) -> T:
    """Run an action on the first process only, and give its result to every process. All must call.

    Args:
        action: Called without arguments on rank 0. Its result must be picklable.

    Returns:
        The result of the action, on every process.

    Raises:
        InputError: The action raised one, or the machine could not do it (a full disk and the like). Every process
            raises it.
    """
    if world_size() == 1:
        return action()
    outcome: list[Any] = [None, None]
    if is_first():
        try:
            outcome[0] = action()
        except InputError as error:
            outcome[1] = str(error)
        except OSError as error:
            mistake = machine_error(error)
            if mistake is None:
                raise
            outcome[1] = str(mistake)
    dist.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        raise InputError(outcome[1])
    result: T = outcome[0]
    return result


def barrier() -> None:
    """Wait until every process has called this. All must call."""
    if world_size() > 1:
        all_gather_object(None)


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Run the block on the first process, then on the others, which find its files on disk. All must call.

    Where the first process fails, the others never enter the block: they stop when it is gone.
    """
    if not is_first():
        barrier()
    yield
    if is_first():
        barrier()


def shard(values: Sequence[T]) -> list[T]:
    """This process's part of a sequence that all processes have: every `world_size`-th value from its rank on."""
    return list(values[rank() :: world_size()])


def unshard(parts: Sequence[Sequence[T]]) -> list[T]:
    """Put a sequence together again from each process's `shard` of it."""
    longest = max(map(len, parts), default=0)
    return [part[n] for n in range(longest) for part in parts if n < len(part)]


def all_reduce_sum(value: Tensor) -> None:
    """Sum a tensor over all processes, in place. All must call."""
    if world_size() > 1:
        dist.all_reduce(value)


def all_reduce_means(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean of each name's numbers over all processes together, without those that are NaN. All must call.

    The mean is over numbers, not over processes: a process with more of them weighs more.

    Args:
        values: Numbers by name. A process may lack a name.

    Returns:
        The mean of each name that any process has; NaN where none of its numbers counts.
    """
    sums: dict[str, tuple[float, int]] = {}
    for name, value in values.items():
        numbers = value.detach().cpu().double().flatten()
        valid = numbers[~numbers.isnan()]
        sums[name] = (float(valid.sum()), len(valid))
    every = all_gather_object(sums)
    names = dict.fromkeys(name for part in every for name in part)
    pooled = {name: [part[name] for part in every if name in part] for name in names}
    return {
        name: torch.tensor(_ratio(sum(total for total, _ in parts), sum(count for _, count in parts)))
        for name, parts in pooled.items()
    }


def _ratio(total: float, count: int) -> float:
    return total / count if count else float("nan")
