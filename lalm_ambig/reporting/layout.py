"""Lay out results as a table: one corpus, or the methods and corpora of a paper, with gaps for what is missing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.responses import response_cells, response_columns, response_meanings
from lalm_ambig.evaluation.table import PARSED, interval_cell, metric_columns, parse_rate_cell
from lalm_ambig.reporting.effort import effort_tables
from lalm_ambig.reporting.reading.groups import Dataset, Group, lines_by_method, title_of
from lalm_ambig.reporting.reading.lines import Line
from lalm_ambig.reporting.reading.recipe import METHODS
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow, ranked

EVERYWHERE = ("baseline", "bound", "endpoint")
"""Methods that no paper's table has; each table shows them."""
UNTRAINED = {"zero_shot", "audio_reasoner"}
"""Methods that alone do not add a corpus to a paper's table."""


@dataclass(frozen=True)
class PaperRow:
    """A row of a paper's table."""

    method: str
    label: str
    optional: bool = False
    """Whether no gap is marked where it is missing."""


@dataclass(frozen=True)
class Layout:
    """A paper's table: its corpora, its methods, its columns."""

    stem: str
    title: str
    datasets: Sequence[Dataset]
    methods: Sequence[PaperRow]
    metrics: Sequence[str]
    compared_with: str | None = None
    """The method that changes are relative to."""

    def table(self, report: Report) -> ResultTable:
        """Its corpora, with gaps where there is no run, then other corpora that have one of its methods."""
        others = [g.dataset for g in report.groups if g.dataset not in self.datasets and self._has(g)]
        shown = [*self.datasets, *others]
        groups = [g for g in map(report.group, shown) if g is not None]
        columns = columns_of(self.metrics, [line for g in groups for line in g.lines])
        rows: list[TableRow] = []
        ends: list[int] = []
        caption: list[str] = []
        for dataset in shown:
            group = report.group(dataset)
            rows += self._section(group, dataset, columns)
            ends.append(len(rows) - 1)
            caption += group.caption() if group is not None else []
        caption += response_meanings(columns)
        caption += [READING, *([CHANGE] if self.compared_with else []), *report.left_out]
        heads = ("dataset", "method")
        return ResultTable(
            heads, columns, tuple(rows), tuple(caption), frozenset(ends), stem=self.stem, title=self.title
        )

    def efforts(self, report: Report) -> list[ResultTable]:
        """What the training of its rows took, for each corpus."""
        methods = {row.method for row in self.methods}
        return effort_tables(
            self.stem,
            report.groups,
            shown=lambda line: line.method in methods and line.first.trained_on is None,
        )

    def _has(self, group: Group) -> bool:
        trained = {row.method for row in self.methods} - UNTRAINED
        return bool(trained & set(lines_by_method(group)))

    def _section(self, group: Group | None, dataset: Dataset, columns: Sequence[Column]) -> list[TableRow]:
        by_method = lines_by_method(group)
        rows: list[tuple[str, Line | None]] = [
            (li.label, li) for key in EVERYWHERE for li in by_method.get(key, ())
        ]
        for wanted in self.methods:
            several = by_method.get(wanted.method, ())
            if not several and not wanted.optional and dataset in self.datasets:
                rows.append((wanted.label, None))
            rows += [(_label(wanted.label, line, several), line) for line in several]
        reference = self._reference(by_method.get(self.compared_with or "", ()), dataset)
        title = title_of(dataset)
        missing = ", ".join(label for label, line in rows if line is None)
        note = f"not given on {title}: {missing}"
        shown = [
            gap((title, label), columns, note)
            if line is None
            else row_of(line, columns, (title, label), reference=reference)
            for label, line in rows
        ]
        return _ranked(shown, [line for _, line in rows], columns, group)

    def _reference(self, lines: Sequence[Line], dataset: Dataset) -> Line | None:
        if len(lines) > 1:
            raise InputError(
                f"{lines[0].label!r} and {lines[1].label!r} are both {METHODS[lines[0].method]} on "
                f"{title_of(dataset)}, so that a change relative to it is not defined.",
                where=f"table {self.stem}",
                remedy="Give only one of them, or call one something else with --row other=PATH.",
            )
        return lines[0] if lines else None


READING = (
    "Best in bold, second underlined, within a corpus; panel, oracle and floors are bounds and not ranked."
)
CHANGE = "In brackets: improvement (+) or worsening (−) relative to zero-shot, computed from these results."


def columns_of(metrics: Sequence[str], lines: Sequence[Line]) -> tuple[Column, ...]:
    """The metrics, and what is known of the responses: the share that could be read, class mass, form and length.

    Args:
        metrics: Names of the metrics.
        lines: The results; what is known of none of them has no column.
    """
    parsed = (PARSED,) if any(line.parse_rate is not None for line in lines) else ()
    return (*metric_columns(metrics), *parsed, *response_columns(line.responses for line in lines))


def _label(wanted: str, line: Line, several: Sequence[Line]) -> str:
    return f"{wanted} ({line.label})" if len(several) > 1 else wanted


def gap(names: tuple[str, ...], columns: Sequence[Column], note: str) -> TableRow:
    """A row that no run fills, with a footnote that says what is missing."""
    return TableRow(names, tuple(Cell() for _ in columns), (note,))


def _ranked(
    rows: Sequence[TableRow], lines: Sequence[Line | None], columns: Sequence[Column], group: Group | None
) -> list[TableRow]:
    complete = group.folds if group is not None else ()
    among = [
        n
        for n, line in enumerate(lines)
        if line is not None and line.method != "bound" and line.folds == complete and line.can_be_best
    ]
    return ranked(rows, columns, among=among)


def row_of(
    line: Line, columns: Sequence[Column], names: tuple[str, ...], *, reference: Line | None = None
) -> TableRow:
    """Return a line of results as a row of a table.

    Args:
        line: The results.
        columns: Metrics, by their keys.
        names: Texts on the left of the row.
        reference: Results that changes are relative to; None for no changes.
    """
    return TableRow(names, tuple(_cell(line, column, reference) for column in columns), line.marks)


def _cell(line: Line, column: Column, reference: Line | None) -> Cell:
    if column is PARSED:
        return parse_rate_cell(line.parse_rate)
    if column.key in line.responses:
        return response_cells(line.responses, [column])[0]
    interval, spread = line.metric(column.key)
    if interval is None:
        return Cell(notes=(f"{line.label} has no {column.key}: it was evaluated before there was one",))
    cell = replace(interval_cell(interval), spread=spread)
    if reference is None or line is reference or line.method in EVERYWHERE:
        return cell
    before, _ = reference.metric(column.key)
    if before is None or not before.value or column.higher_is_better is None:
        return cell
    change = (interval.value - before.value) / abs(before.value)
    return replace(cell, change=change if column.higher_is_better else -change)


def group_table(
    stem: str, group: Group, *, left_out: Sequence[str], name: Callable[[Line], str]
) -> ResultTable:
    """Return a table of every line of a corpus, in their order, with the corpus's columns.

    Args:
        stem: Name of the table's files.
        group: The lines of one corpus.
        left_out: Lines of the caption on runs that are not in the table.
        name: Name of a line's method.
    """
    columns = columns_of(group.results.about.table_metrics, group.lines)
    rows = [row_of(line, columns, (line.label, name(line))) for line in group.lines]
    caption = (*group.caption(), *response_meanings(columns), READING, *left_out)
    shown = tuple(_ranked(rows, group.lines, columns, group))
    title = f"All results on {group.title}"
    return ResultTable(("row", "method"), columns, shown, caption, stem=stem, title=title)
