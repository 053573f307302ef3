"""The other processes of a run: what each of them is, and how they agree. With one process everything is at hand.

Layers above speak of processes only through this module, so that the same code runs on one device and on many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from lalm_ambig.core.errors import InputError, of_the_machine

T = TypeVar("T")


def started() -> bool:
    """Whether this process belongs to a group that has met."""
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """Number of processes, at least 1."""
    return dist.get_world_size() if started() else 1


def rank() -> int:
    """Number of this process, 0 for the first."""
    return dist.get_rank() if started() else 0


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return rank() == 0


def all_gather_object(value: T) -> list[T]:
    """What each process has, in the order of their ranks; all must call."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value)
    return found


def on_rank_zero(action: Callable[[], T]) -> T:
    """What the first process gets from an action that only it performs, in every process; all must call.

    An InputError there is raised in all of them, also for a full disk and its like.
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
            found = of_the_machine(error)
            if found is None:
                raise
            outcome[1] = str(found)
    dist.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        raise InputError(outcome[1])
    result: T = outcome[0]
    return result


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        all_gather_object(None)


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """The first process runs the block while the others wait; they run it then, and find what it has left on disk.

    Where the first one fails, the others are not let in: they stop when it is gone.
    """
    if not is_first():
        barrier()
    yield
    if is_first():
        barrier()


def shard(values: Sequence[T]) -> list[T]:
    """This process's part of a sequence that all of them have: every world-th from its rank on."""
    return list(values[rank() :: world_size()])


def unshard(parts: Sequence[Sequence[T]]) -> list[T]:
    """The sequence again from everyone's `share` of it."""
    longest = max(map(len, parts), default=0)
    return [part[n] for n in range(longest) for part in parts if n < len(part)]


def all_reduce_means(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean of each name's numbers over all processes together; numbers that are NaN do not count.

    A process may lack a name, or have none of its numbers; the mean is over what there is, not over processes. NaN
    where there is none at all.
    """
    own: dict[str, tuple[float, int]] = {}
    for name, value in values.items():
        numbers = value.detach().double().flatten()
        known = numbers[~numbers.isnan()]
        own[name] = (float(known.sum()), len(known))
    every = all_gather_object(own)
    names = dict.fromkeys(name for part in every for name in part)
    pooled = {name: [part[name] for part in every if name in part] for name in names}
    return {
        name: torch.tensor(_ratio(sum(total for total, _ in parts), sum(count for _, count in parts)))
        for name, parts in pooled.items()
    }


def _ratio(total: float, count: int) -> float:
    return total / count if count else float("nan")
