"""A check of the connection between GPUs: every process sums one tensor with the others, for two seconds."""

import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lalm_ambig.checks.outcome import CheckResult, error_line

NUMBERS = 4_000_000
"""Numbers in the tensor that is summed: 16 MB."""
LASTS_S = 2.0
"""How long sums are repeated, in seconds."""
WAITS_S = 120.0
"""How long processes may take to start, meet and sum, in seconds."""
REMEDY = (
    "NCCL_DEBUG=INFO python -m lalm_ambig.doctor shows where it stops. Try NCCL_P2P_DISABLE=1 (cards without a direct "
    "link), NCCL_SOCKET_IFNAME (the network between nodes), or more shared memory (docker --shm-size=8g)."
)


def check_all_reduce(count: int, *, backend: str, waits_s: float = WAITS_S) -> CheckResult:
    """Check that processes, one a GPU, can sum a tensor, and how fast.

    Args:
        count: Number of processes.
        backend: torch's backend: `nccl` for GPUs, `gloo` for processes on a CPU.
        waits_s: Seconds after which the processes are stopped.

    Returns:
        The result, with the rate at which one process sends and takes numbers.
    """
    name = f"{backend.upper()} between {count} processes"
    with tempfile.TemporaryDirectory() as folder:
        context = mp.get_context("spawn")
        answers = context.SimpleQueue()
        processes = [
            context.Process(
                target=_sum,
                args=(rank, count, backend, (Path(folder) / "meeting", waits_s), answers),
                daemon=True,
            )
            for rank in range(count)
        ]
        for process in processes:
            process.start()
        late = _end(processes, time.monotonic() + waits_s)
        told = [answers.get() for _ in range(count) if not answers.empty()]
    failures = [words for words in told if isinstance(words, str)]
    if late or failures or len(told) < count:
        found = (
            failures[0] if failures else f"no answer within {waits_s:g} s" if late else "a process was killed"
        )
        return CheckResult(name, False, found, REMEDY)
    return CheckResult(name, True, f"sums are right; {min(told):.1f} GB/s at the slowest")


def _end(processes: Sequence[BaseProcess], until: float) -> bool:
    """Wait for processes, and stop those that are late; returns whether any was."""
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    late = [process for process in processes if process.is_alive()]
    for process in late:
        process.kill()
        process.join()
    return bool(late)


def _sum(rank: int, count: int, backend: str, meeting: tuple[Path, float], answers: Any) -> None:
    """One process: puts its rate in GB/s into the queue, or what went wrong."""
    try:
        answers.put(_rate(rank, count, backend, meeting))
    except Exception as error:  # whatever the library raises is the finding
        answers.put(error_line(error))


def _rate(rank: int, count: int, backend: str, meeting: tuple[Path, float]) -> float:
    """The rate of one process; `meeting` is a file by which processes find each other, and seconds to wait there."""
    on_gpu = backend == "nccl"
    if on_gpu:
        torch.cuda.set_device(rank)
    dist.init_process_group(
        backend,
        init_method=f"file://{meeting[0]}",
        rank=rank,
        world_size=count,
        timeout=timedelta(seconds=meeting[1]),
    )
    try:
        ones = torch.ones(NUMBERS, device=f"cuda:{rank}" if on_gpu else "cpu")
        ranks = torch.full((NUMBERS,), float(rank), device=ones.device)
        dist.all_reduce(ranks)
        if bool((ranks != count * (count - 1) / 2).any()):
            raise ArithmeticError("the sum over processes is wrong")
        begin, sums, goes_on = time.monotonic(), 0, torch.ones(1, device=ones.device)
        while bool(goes_on):
            dist.all_reduce(ones.fill_(1))
            sums += 1
            goes_on.fill_(time.monotonic() - begin < LASTS_S)
            dist.broadcast(goes_on, src=0)
        seconds = time.monotonic() - begin
    finally:
        dist.destroy_process_group()
    sent = 2 * (count - 1) / count * NUMBERS * ones.element_size()  # of a ring
    return sums * sent / seconds / 1e9
