"""All results, in one table per corpus, with the corpus's columns."""

from collections.abc import Sequence

from lalm_ambig.reporting.layout import group_table
from lalm_ambig.reporting.reading.lines import Line
from lalm_ambig.reporting.reading.recipe import METHODS
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import ResultTable

TITLE = "All results"


def sheets(report: Report) -> Sequence[ResultTable]:
    """One table per corpus or part."""
    return [
        group_table(stem_of("all", group.dataset), group, left_out=report.left_out, name=_method)
        for group in report.groups
    ]


def _method(line: Line) -> str:
    source = line.first.trained_on
    trained = "" if source is None else f", trained on {source}"
    return f"{METHODS[line.method]}{trained}"
