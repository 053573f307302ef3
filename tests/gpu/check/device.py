"""Time and memory of the device that is checked; on a CPU there is no memory to tell."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

GB = 1e9


@dataclass
class Clock:
    """Seconds spent in parts of a step, by name."""

    spent_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Device:
    """`cuda` or `cpu`."""

    name: str

    @property
    def is_gpu(self) -> bool:
        return self.name == "cuda"

    def synchronise(self) -> None:
        """Wait until everything that was launched is done."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object]) -> float:
        """How long it takes until the work is done on the device."""
        self.synchronise()
        began = time.monotonic()
        work()
        self.synchronise()
        return time.monotonic() - began

    def measure(self, clock: Clock, name: str, call: Callable[[], Any]) -> Any:
        """The call's result; its seconds are added to the clock."""
        result: list[Any] = []
        clock.spent_s[name] = clock.spent_s.get(name, 0.0) + self.seconds(lambda: result.append(call()))
        return result[0]

    def reset_peak(self) -> None:
        if self.is_gpu:
            torch.cuda.reset_peak_memory_stats()

    def memory_gb(self) -> dict[str, float]:
        """Held, peak and reserved memory; nothing on a CPU."""
        if not self.is_gpu:
            return {}
        found = {
            "held_gb": torch.cuda.memory_allocated(),
            "peak_gb": torch.cuda.max_memory_allocated(),
            "reserved_gb": torch.cuda.max_memory_reserved(),
        }
        return {name: round(count / GB, 2) for name, count in found.items()}

    @contextmanager
    def emptied(self) -> Iterator[None]:
        """After the block, what nothing holds any more is given back."""
        import gc

        try:
            yield
        finally:
            gc.collect()
            if self.is_gpu:
                torch.cuda.empty_cache()
