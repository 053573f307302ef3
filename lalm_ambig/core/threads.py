"""Threads of one computation: how they wait for each other, and whether the machine has room for them.

torch's own OpenMP lets a thread that waits spin for milliseconds. Beside another program that wants the core, each wait
then takes a time slice: two runs on two cores, each with two threads, take twenty times as long as one. It is told to
spin briefly and sleep then. Measured on two cores, a GRPO step of two threads: 5.3 s by default, 5.6 s with this; two
side by side 11.2 s each, and by default over a minute.

It uses the standard library only: it must act before torch is loaded.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

SPIN = "GOMP_SPINCOUNT"
SPINS = "1000"
"""Loops that a thread waits before it sleeps; the default of 300,000 is for a machine of one's own."""
CHOSEN = (SPIN, "OMP_WAIT_POLICY")
"""Variables by which a user chooses how threads wait."""
FULL = 1.25
"""Threads per core from which a machine is called full."""


def wait_briefly() -> None:
    """Let the threads of this process and of those that it starts spin only briefly, unless the user has chosen."""
    if "torch" not in sys.modules and not any(name in os.environ for name in CHOSEN):
        os.environ[SPIN] = SPINS


def crowding_note(threads: int) -> str | None:
    """Return a line that the machine is fuller than this run's threads allow; None where there is room.

    Args:
        threads: Threads with which this process will compute.
    """
    found = busy_cores()
    if found is None:
        return None
    busy, here = found
    if busy < 1 or busy + threads <= FULL * here:
        return None
    fewer = max(1, here - round(busy))
    advice = f": OMP_NUM_THREADS={fewer} before the command leaves them room" if fewer < threads else ""
    return (
        f"this machine is full: other programs keep {busy:.1f} of {here} cores busy, and this run computes with "
        f"{threads} {'thread' if threads == 1 else 'threads'}{advice}."
    )


def busy_cores(seconds: float = 0.2) -> tuple[float, int] | None:
    """How busy the cores are that this process may use, while it sleeps.

    Args:
        seconds: How long it looks.

    Returns:
        Cores that are busy, and cores; None on a system that does not say.
    """
    try:
        cores = sorted(os.sched_getaffinity(0))
        before = _core_times(cores)
        time.sleep(seconds)
        after = _core_times(cores)
    except (AttributeError, OSError, ValueError, KeyError):
        return None
    shares = []
    for (busy, total), (busy_now, total_now) in zip(before, after, strict=True):
        shares.append((busy_now - busy) / max(1, total_now - total))
    return sum(shares), len(cores)


def _core_times(cores: list[int]) -> list[tuple[int, int]]:
    """Busy and all ticks of these cores since the system's start (Linux, `/proc/stat`)."""
    lines = dict(line.split(" ", 1) for line in Path("/proc/stat").read_text().splitlines() if " " in line)
    found = []
    for core in cores:
        ticks = [int(number) for number in lines[f"cpu{core}"].split()[:8]]
        found.append((sum(ticks) - ticks[3] - ticks[4], sum(ticks)))  # idle, and waiting for a disk
    return found
