"""Paper B, Table 2: SHALA beside what other papers print for the same corpora."""

from collections.abc import Sequence

from lalm_ambig.corpora.base import SHALA_METRICS
from lalm_ambig.evaluation.literature import literature
from lalm_ambig.reporting.layout import gap, line_of
from lalm_ambig.reporting.reading.groups import Dataset, lines_by_method, title_of
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.tables.b1 import LAYOUT
from lalm_ambig.reporting.writing.sheet import Column, Entry, Sheet, SheetLine, metric_columns, ranked

TITLE = "SHALA-LLM beside ambiguity-aware systems of the literature (paper B, Table 2)"
METHODS = ("shala", "shala_batch", "shala_unscaled")
READING = (
    "Rows “as printed” are figures of papers, on other items and splits: they are not ranked and have no interval. "
    "Ranks are among this report's own rows of a corpus."
)


def sheets(report: Report) -> Sequence[Sheet]:
    """One table: each corpus with the literature first and this report's runs behind it."""
    columns = metric_columns(SHALA_METRICS)
    lines: list[SheetLine] = []
    ends: list[int] = []
    caption: list[str] = [READING]
    noted: dict[str, list[str]] = {}
    for dataset in LAYOUT.datasets:
        printed, notes = _printed(dataset)
        lines += [*printed, *_own(report, dataset, columns)]
        ends.append(len(lines) - 1)
        group = report.group(dataset)
        caption += group.caption() if group is not None else []
        for note in notes:
            noted.setdefault(note, []).append(title_of(dataset))
    caption += [f"{', '.join(titles)}, as printed: {note}" for note, titles in noted.items()]
    below = (*caption, *report.left_out)
    return [Sheet("b2", TITLE, ("dataset", "method"), columns, tuple(lines), below, frozenset(ends))]


def _printed(dataset: Dataset) -> tuple[list[SheetLine], list[str]]:
    """The rows of the literature and what is to be known about them."""
    title = title_of(dataset)
    lines, notes = [], []
    for grid in literature(*dataset):
        for name, *figures in grid.rows:
            lines.append(
                SheetLine((title, f"{name.text}, as printed"), tuple(Entry(text=f.text) for f in figures))
            )
        notes += grid.caption.splitlines()
    return lines, notes


def _own(report: Report, dataset: Dataset, columns: Sequence[Column]) -> list[SheetLine]:
    title, found = title_of(dataset), lines_by_method(report.group(dataset))
    own = [line for method in METHODS for line in found.get(method, ())]
    if not own:
        return [gap((title, "SHALA-LLM, this report"), columns, f"not given on {title}: SHALA-LLM")]
    lines = [line_of(line, columns, (title, f"{line.label}, this report")) for line in own]
    return ranked(lines, columns, among=[n for n, line in enumerate(own) if not line.is_leaky])
