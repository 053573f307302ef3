"""What the benchmarks share: clocks, peaks of memory, and processes of their own. It imports the standard library only,
so that a process that measures its memory has not loaded more than it needs."""

import json
import multiprocessing
import resource
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Timed:
    """A result, and what it took."""

    result: Any
    wall_s: float
    cpu_s: float


def timed(work: Callable[[], Any]) -> Timed:
    """Run `work`, and return its result with wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Timed(result, time.perf_counter() - wall, time.process_time() - cpu)


def peak_rss_mb() -> float:
    """Peak resident memory of this process; getrusage would count its parent's at the fork as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peak_mb() -> float:
    """Peak memory of a process that was not forked, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(work: Callable[..., Any], *arguments: object) -> Any:
    """Return the result of `work` in a fresh process, so that peaks of memory are its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def last_line_of(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a command, and return the JSON object on the last line that it prints."""
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=None if environment is None else dict(environment),
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
