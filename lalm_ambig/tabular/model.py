"""A table before it is written in any format: values with intervals, ranks, changes and footnotes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

DECIMALS = 3
MISSING = "–"
Rank = Literal[0, 1, 2]
"""1 the best, 2 the second, 0 neither."""


@dataclass(frozen=True)
class Column:
    """A column of values."""

    key: str
    """Its name in a CSV: the metric's, for instance."""
    label: str
    higher_is_better: bool | None = None
    """None: values are not ranked."""


@dataclass(frozen=True)
class Cell:
    """One cell; a gap where all fields are empty."""

    value: int | float | None = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    """Standard deviation between folds."""
    change: float | None = None
    """Relative improvement over the row that is compared with; positive is better."""
    text: str | None = None
    """Shown in place of the value: a printed figure, a share, a response."""
    rank: Rank = 0
    notes: tuple[str, ...] = ()
    """Footnotes; equal ones share a number."""

    def written(self) -> str:
        """The value with its interval or spread, without marks; a dash for a gap.

        >>> Cell(0.5, 0.4, 0.61).written()
        '0.500 (0.400–0.610)'
        >>> Cell(0.5, 0.4, 0.61, spread=0.02).written()
        '0.500 ± 0.020 (0.400–0.610)'
        """
        if self.text is not None:
            return self.text
        if self.value is None or not math.isfinite(self.value):
            return MISSING
        shown = f"{self.value:.{DECIMALS}f}"
        if self.spread is not None:
            shown += f" ± {self.spread:.{DECIMALS}f}"
        if self.low is not None and self.high is not None:
            shown += f" ({self.low:.{DECIMALS}f}–{self.high:.{DECIMALS}f})"
        return shown if self.change is None else f"{shown} [{self.change:+.1%}]"


@dataclass(frozen=True)
class TableRow:
    """Names on the left, cells on the right."""

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()
    """Footnotes of the row, at its last name."""


@dataclass(frozen=True)
class ResultTable:
    """A table: heads, rows, and the lines below."""

    name_heads: tuple[str, ...]
    """Heads of the columns that hold names."""
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    caption: tuple[str, ...] = ()
    """Lines below the table."""
    ends: frozenset[int] = frozenset()
    """Numbers of the rows that a rule follows."""
    stem: str = ""
    """Name of its files, for a table of a report."""
    title: str = ""
    prose: int | None = None
    """Which of the names, if any, is running text."""

    @property
    def head(self) -> tuple[str, ...]:
        """The heads of all columns, names first."""
        return (*self.name_heads, *(column.label for column in self.columns))

    def footnotes(self) -> list[str]:
        """Every footnote once, in the order of its first mark; note n of the table is item n − 1."""
        notes: dict[str, None] = {}
        for row in self.rows:
            notes |= dict.fromkeys(row.notes)
            for cell in row.cells:
                notes |= dict.fromkeys(cell.notes)
        return list(notes)


@dataclass(frozen=True)
class Ranking:
    """Which cells of a column are marked."""

    places: Literal[1, 2] = 2
    """1: the best only; 2: the second as well."""
    decimals: int | None = DECIMALS
    """Values that are equal when rounded so share a place; None: only equal values do."""
    fewest: int = 2
    """A column with fewer values is not ranked."""


BEST_AND_SECOND = Ranking()
"""Tables of a report."""
BEST = Ranking(places=1, decimals=None, fewest=1)
"""Tables of a run."""


def ranked(
    rows: Sequence[TableRow],
    columns: Sequence[Column],
    *,
    among: Sequence[int],
    ranking: Ranking = BEST_AND_SECOND,
) -> list[TableRow]:
    """Mark the best cells of each column.

    Args:
        rows: The rows of a table; `columns` are the columns of their cells.
        columns: A column whose `higher_is_better` is None is not ranked.
        among: Numbers of the rows that are ranked; the others neither take a rank nor change one.
        ranking: How many places there are, and when two values are equal.

    Returns:
        The rows with the ranks of their cells. Cells without a finite value have none.
    """
    cells = [list(row.cells) for row in rows]
    for at, column in enumerate(columns):
        if column.higher_is_better is None:
            continue
        values = {n: _rounded(v, ranking) for n in among if (v := _finite(cells[n][at])) is not None}
        order = sorted(set(values.values()), reverse=column.higher_is_better)[: ranking.places]
        if len(values) < ranking.fewest:
            continue
        for n, value in values.items():
            if value in order:
                cells[n][at] = replace(cells[n][at], rank=1 if value == order[0] else 2)
    return [replace(row, cells=tuple(marked)) for row, marked in zip(rows, cells, strict=True)]


def _rounded(value: float, ranking: Ranking) -> float:
    return value if ranking.decimals is None else round(value, ranking.decimals)


def _finite(cell: Cell) -> float | None:
    return cell.value if cell.value is not None and math.isfinite(cell.value) else None
