"""What happens on the pretend accelerator, by the lines of the product that asked for it."""

import sys
from collections import Counter
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lalm_ambig

PRODUCT = str(Path(lalm_ambig.__file__).parent) + "/"
DEEPEST = 4
"""Lines of the product that are named, from the innermost outwards."""
KINDS = ("refused", "to_host", "to_device", "launch")


class Watch(AbstractContextManager["Watch"]):
    """Inside, events of the chosen kinds are counted by line; `counts` then says how many of each there were."""

    def __init__(
        self, backend: Any, *, kinds: Collection[str] = ("refused",), only_list: bool = False
    ) -> None:
        """
        Args:
            backend: What `device.register` returned.
            kinds: Which of `KINDS` are counted by line; `launch` slows a run down.
            only_list: Go on after a device mix-up, so that all of them are found.
        """
        self.backend, self.kinds, self.only_list = backend, kinds, only_list
        self.lines: Counter[tuple[str, str, str]] = Counter()
        """Events by kind, operator and lines."""
        self.counts: dict[str, int] = {}
        """Inside the block, of everything: launches, to_device, to_host, refusals; and peak_bytes."""

    def __enter__(self) -> "Watch":
        self.backend.reset_peak()
        self._before = self.backend.counts()
        self.backend.only_list(self.only_list)
        self.backend.observe(self._event, "launch" in self.kinds)
        return self

    def __exit__(self, *error: object) -> None:
        self.backend.observe(None, False)
        self.backend.only_list(False)
        now = self.backend.counts()
        self.counts = {name: now[name] - self._before[name] for name in now if not name.endswith("_bytes")}
        self.counts["peak_bytes"] = now["peak_bytes"] - self._before["held_bytes"]

    def _event(self, kind: str, operator: str) -> None:
        if kind in self.kinds:
            self.lines[kind, operator, " < ".join(product_lines()[:DEEPEST]) or "elsewhere"] += 1


def product_lines() -> list[str]:
    """Lines of the product on this thread's stack, the innermost first; none in a backward pass's own thread."""
    found = []
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(PRODUCT):
            found.append(f"{frame.f_code.co_filename.removeprefix(PRODUCT)}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return found
