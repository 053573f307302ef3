"""Rows of cells as a rich table and as Markdown; and how a metric's values are written in them."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from lalm_ambig.evaluation.bootstrap import Interval
from lalm_ambig.metrics.base import DistributionMetric


@dataclass(frozen=True)
class Cell:
    """A text, and whether it stands out."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: its head, its rows as long as the head, and what stands below."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str
    names: int = 1
    """How many columns, from the left, hold names and not numbers."""
    sections: frozenset[int] = frozenset()
    """Numbers of the rows behind which a line is drawn."""

    def rich(self, *, narrow: bool = False) -> Table:
        """For a terminal; `narrow` puts what is in brackets on a second line, so that five numbers with their
        intervals fit in 80 columns."""
        table = Table(
            caption=escape(self.caption),
            caption_justify="left",
            box=SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
        )
        for number, title in enumerate(self.head):
            if number < self.names:
                table.add_column(escape(title), overflow="fold")  # a long name takes two lines
            else:
                table.add_column(escape(title.replace(" (", "\n(")), justify="right", no_wrap=True)
        for number, row in enumerate(self.rows):
            cells = [_rich_cell(cell, narrow=narrow and at >= self.names) for at, cell in enumerate(row)]
            table.add_row(*cells, end_section=number in self.sections)
        return table

    def markdown(self) -> str:
        """The same as Markdown, ending in a newline."""
        marked = [[f"**{cell.text}**" if cell.best else cell.text for cell in row] for row in self.rows]
        rule = ["---"] * self.names + ["---:"] * (len(self.head) - self.names)
        lines = [_markdown_line(line) for line in (self.head, rule, *marked)]
        return "\n".join([*lines, "", self.caption, ""])


def metric_column(
    metric: DistributionMetric, values: Mapping[str, Interval | None], *, bounds: Collection[str] = ()
) -> dict[str, Cell]:
    """Row name → value with interval, the best of several in bold, which no row of `bounds` can be; None and undefined
    values are a dash."""
    ranked = {name: v.value for name, v in values.items() if v is not None and name not in bounds}
    finite = [value for value in ranked.values() if math.isfinite(value)]
    best = (max if metric.higher_is_better else min)(finite, default=None)
    return {name: Cell(_text(v), len(values) > 1 and ranked.get(name) == best) for name, v in values.items()}


def _text(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.value):
        return "–"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} ({interval.low:.3f}–{interval.high:.3f})"


def _rich_cell(cell: Cell, *, narrow: bool) -> str:
    text = escape(cell.text)
    if narrow:
        text = text.replace(" (", "\n").removesuffix(")")
    return f"[bold]{text}[/bold]" if cell.best else text


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"
