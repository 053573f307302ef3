"""SHALA-LLM, Table 2: SHALA beside what other papers print for the same corpora."""

from collections.abc import Sequence

from lalm_ambig.corpora.base import SHALA_METRICS
from lalm_ambig.evaluation.published import literature
from lalm_ambig.evaluation.table import metric_columns
from lalm_ambig.reporting.effort import effort_tables
from lalm_ambig.reporting.layout import gap, row_of
from lalm_ambig.reporting.reading.groups import Dataset, lines_by_method, title_of
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.tables.b1 import LAYOUT
from lalm_ambig.tabular.model import Column, ResultTable, TableRow, ranked

TITLE = "SHALA-LLM beside ambiguity-aware systems of the literature (SHALA-LLM, Table 2)"
METHODS = ("shala", "shala_batch", "shala_unscaled")
READING = (
    "Rows “as printed” are figures of papers, on other items and splits: they are not ranked and have no interval. "
    "Ranks are among this report's own rows of a corpus."
)


def sheets(report: Report) -> Sequence[ResultTable]:
    """For each corpus the literature, then the runs of this report; and what their training took."""
    columns = metric_columns(SHALA_METRICS)
    rows: list[TableRow] = []
    ends: list[int] = []
    caption: list[str] = [READING]
    noted: dict[str, list[str]] = {}
    for dataset in LAYOUT.datasets:
        printed, notes = _printed(dataset)
        rows += [*printed, *_of_report(report, dataset, columns)]
        ends.append(len(rows) - 1)
        group = report.group(dataset)
        caption += group.caption() if group is not None else []
        for note in notes:
            noted.setdefault(note, []).append(title_of(dataset))
    caption += [f"{', '.join(titles)}, as printed: {note}" for note, titles in noted.items()]
    below = (*caption, *report.left_out)
    heads = ("dataset", "method")
    table = ResultTable(heads, columns, tuple(rows), below, frozenset(ends), stem="b2", title=TITLE)
    return [table, *effort_tables("b2", report.groups, shown=lambda line: line.method in METHODS)]


def _printed(dataset: Dataset) -> tuple[list[TableRow], list[str]]:
    """The rows of the literature, and the notes on them."""
    title = title_of(dataset)
    rows: list[TableRow] = []
    notes: list[str] = []
    for table in literature(*dataset):
        rows += [TableRow((title, f"{row.names[0]}, as printed"), row.cells, row.notes) for row in table.rows]
        notes += table.caption
    return rows, notes


def _of_report(report: Report, dataset: Dataset, columns: Sequence[Column]) -> list[TableRow]:
    title, by_method = title_of(dataset), lines_by_method(report.group(dataset))
    lines = [line for method in METHODS for line in by_method.get(method, ())]
    if not lines:
        return [gap((title, "SHALA-LLM, this report"), columns, f"not given on {title}: SHALA-LLM")]
    rows = [row_of(line, columns, (title, f"{line.label}, this report")) for line in lines]
    return ranked(rows, columns, among=[n for n, line in enumerate(lines) if line.can_be_best])
