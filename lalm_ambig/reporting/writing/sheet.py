"""A table of results before it is written in any format: values with intervals, ranks, changes and footnotes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lalm_ambig.metrics.base import DistributionMetric, all_metrics

DECIMALS = 3
MISSING = "–"
Rank = Literal[0, 1, 2]
"""1 the best, 2 the second, 0 neither."""


@dataclass(frozen=True)
class Column:
    """A column of values."""

    key: str
    """For CSV: the metric's name, or another."""
    label: str
    higher_is_better: bool | None = None
    """None: values are not ranked."""


@dataclass(frozen=True)
class Entry:
    """One cell; all fields empty for a gap."""

    value: int | float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    """Standard deviation between folds."""
    change: float | None = None
    """Relative improvement over the line that is compared with; positive is better."""
    text: str | None = None
    """In place of a number: what a source printed, a share, a response."""
    rank: Rank = 0
    notes: tuple[str, ...] = ()
    """Footnotes; equal ones share a number."""

    def written(self) -> str:
        """Value with its interval or spread, without marks; a dash for a gap."""
        if self.text is not None:
            return self.text
        if self.value is None or not math.isfinite(self.value):
            return MISSING
        shown = f"{self.value:.{DECIMALS}f}"
        if self.spread is not None:
            shown += f" ± {self.spread:.{DECIMALS}f}"
        elif self.low is not None and self.high is not None:
            shown += f" ({self.low:.{DECIMALS}f}–{self.high:.{DECIMALS}f})"
        return shown if self.change is None else f"{shown} [{self.change:+.1%}]"


@dataclass(frozen=True)
class SheetLine:
    """Names on the left, entries on the right; or names alone, all over a section."""

    names: tuple[str, ...]
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    """Footnotes of the line, at its last name."""


@dataclass(frozen=True)
class Sheet:
    """A table."""

    stem: str
    """Name of its files."""
    title: str
    name_heads: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[SheetLine, ...]
    caption: tuple[str, ...]
    ends: frozenset[int] = frozenset()
    """Numbers of the lines behind which a rule is drawn."""
    prose: int | None = None
    """Which of the names, if any, is running text."""

    def footnotes(self) -> list[str]:
        """Every footnote once, in the order of its first mark; note n of the table is item n − 1."""
        found: dict[str, None] = {}
        for line in self.lines:
            found |= dict.fromkeys(line.notes)
            for entry in line.entries:
                found |= dict.fromkeys(entry.notes)
        return list(found)


def metric_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """A column for each metric of those names."""
    known = {metric.name: metric for metric in all_metrics(2)}
    return tuple(_column(known[name]) for name in names)


def _column(metric: DistributionMetric) -> Column:
    return Column(metric.name, metric.label, metric.higher_is_better)


def ranked(lines: Sequence[SheetLine], columns: Sequence[Column], *, among: Sequence[int]) -> list[SheetLine]:
    """The lines with the best and the second of each column marked, among those line numbers.

    Values count as equal where they look equal; equal ones share a rank. A column with one value has no rank.
    """
    found = [list(line.entries) for line in lines]
    for at, column in enumerate(columns):
        if column.higher_is_better is None:
            continue
        values = {n: round(v, DECIMALS) for n in among if (v := _finite(found[n][at])) is not None}
        order = sorted(set(values.values()), reverse=column.higher_is_better)
        if len(values) < 2:
            continue
        for n, value in values.items():
            if value in order[:2]:
                found[n][at] = replace(found[n][at], rank=1 if value == order[0] else 2)
    return [replace(line, entries=tuple(entries)) for line, entries in zip(lines, found, strict=True)]


def _finite(entry: Entry) -> float | None:
    return entry.value if entry.value is not None and math.isfinite(entry.value) else None
