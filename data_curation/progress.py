"""The display of a run: a bar with rate, cost and verdicts, and a table and an exit code at the end."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from data_curation.chat.gate import RunStopped
from data_curation.records import CurationRow, Usage
from lalm_ambig.core.errors import EXIT_CHECK_FAILED, EXIT_OK

PLAIN_EVERY_S = 10.0
"""Seconds between lines where there is no terminal for a bar."""
OUTCOMES = ("accepted", "rejected", "refused", "unreadable")


@dataclass
class RunTally:
    """Counts of one run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    """Items that an earlier run finished."""
    unsent: int = 0
    """Items whose calls brought no reply; they are left for the next run."""
    unusable: int = 0
    """Items whose clip cannot be read."""
    attempts: int = 0
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    js_bits: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Sum and number of the accepted rows' divergences."""

    @property
    def written(self) -> int:
        return sum(self.outcomes.values())

    @property
    def seen(self) -> int:
        return self.written + self.finished + self.unsent + self.unusable

    def add(self, row: CurationRow) -> None:
        self.outcomes[row.outcome] += 1
        self.attempts += row.attempts
        self.calls += len(row.calls)
        self.usage = self.usage.plus(row.usage)
        if row.outcome == "accepted" and row.js_bits is not None:
            self.js_bits = [self.js_bits[0] + row.js_bits, self.js_bits[1] + 1]


class RunDisplay:
    """The bar on standard error, or a line every `PLAIN_EVERY_S` seconds without a terminal."""

    def __init__(self, total: int, *, tally: RunTally) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._tally = tally
        self._total = total
        self.cost_usd: Callable[[], float] | None = None
        """The amount that was spent; None for a writer without costs."""
        self._started_s = self._printed_s = time.monotonic()
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, state="")

    def __enter__(self) -> "RunDisplay":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, *lines: str) -> None:
        """Print lines above the bar."""
        for line in lines:
            self._console.print(line, markup=False)

    def update(self, waiting: str = "") -> None:
        """Draw the present counts."""
        state = f"{self._state()}{f' · {waiting}' if waiting else ''}"
        self._bar.update(self._task, completed=self._tally.seen, state=state)
        now_s = time.monotonic()
        if self._bar.disable and now_s - self._printed_s >= PLAIN_EVERY_S:
            self._printed_s = now_s
            self.say(f"{self._tally.seen}/{self._total} items · {state}")

    def _state(self) -> str:
        rate_hz = self._tally.written / max(1e-9, time.monotonic() - self._started_s)
        counts = " ".join(
            f"{self._tally.outcomes[name]} {name}" for name in OUTCOMES if self._tally.outcomes[name]
        )
        cost = "" if self.cost_usd is None else f" · ${self.cost_usd():.4f}"
        return f"{rate_hz:.2f} items/s{cost} · {counts or 'none finished yet'}"


def print_summary(tally: RunTally, *, elapsed_s: float, spent_usd: float | None) -> None:
    """Print the table at the end of a run on standard output."""
    table = Table(title="Curation", show_header=False)
    rows: dict[str, str] = {name: str(tally.outcomes[name]) for name in OUTCOMES}
    rows |= {"finished by earlier runs": str(tally.finished), "left for the next run": str(tally.unsent)}
    rows["clip unusable"] = str(tally.unusable)
    if tally.written:
        rows["rate"] = f"{tally.written / max(elapsed_s, 1e-9):.2f} items/s"
    if tally.js_bits[1]:
        rows["mean JS of accepted"] = f"{tally.js_bits[0] / tally.js_bits[1]:.4f} bits"
    if spent_usd is not None and tally.written:
        rows["attempts per item"] = f"{tally.attempts / tally.written:.2f}"
    if spent_usd is not None:
        rows["calls"] = str(tally.calls)
        tokens = tally.usage
        rows["tokens"] = (
            f"{tokens.prompt_tokens} in ({tokens.audio_tokens} audio), {tokens.completion_tokens} out"
        )
        rows["spent on this file"] = f"${spent_usd:.4f}"
    for name, value in rows.items():
        table.add_row(name, value)
    Console(highlight=False).print(table)


def show_row(row: CurationRow) -> None:
    """Print an item's reasoning and verdict on standard output."""
    division = ", ".join(f"{n} {v:g}" for n, v in zip(row.categories, row.votes, strict=True) if v)
    lines = [f"── {row.id} · {row.outcome} · votes: {division}", f"   words: {row.text or '(not finished)'}"]
    if row.reasoning is not None:
        lines.append(row.reasoning.as_text())
    lines += [f"   {reason}" for reason in row.reasons]
    if row.js_bits is not None:
        lines.append(f"   JS {row.js_bits:.3f} bits, attempts {row.attempts}, ${row.usage.cost_usd:.4f}")
    Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)


def conclude(stopped: RunStopped | None, tally: RunTally) -> int:
    """Print a line about the items that are left, if any.

    Args:
        stopped: Why the run stopped; None where it reached its end.
        tally: The counts of the run.

    Returns:
        The exit code: 0 where no item is left and something was written.
    """
    if stopped is not None:
        print(f"stopped: {stopped.reason}. The same command goes on from here.", file=sys.stderr)
        return stopped.exit_code
    if tally.unsent:
        print(f"{tally.unsent} items had no reply; the same command sends them again.", file=sys.stderr)
        return EXIT_CHECK_FAILED
    if tally.outcomes["accepted"] or tally.outcomes["rejected"] or tally.finished:
        return EXIT_OK
    came_to = {name: tally.outcomes[name] for name in OUTCOMES} | {"unusable": tally.unusable}
    counts = ", ".join(f"{number} {name}" for name, number in came_to.items() if number)
    print(f"no reasoning was written: {counts or 'there was no item'}.", file=sys.stderr)
    return EXIT_CHECK_FAILED
