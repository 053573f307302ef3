"""All results, in one table per corpus, with the corpus's columns."""

from collections.abc import Sequence

from lalm_ambig.reporting.effort import effort_tables
from lalm_ambig.reporting.layout import group_table
from lalm_ambig.reporting.reading.lines import Line
from lalm_ambig.reporting.reading.recipe import METHODS
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import ResultTable

TITLE = "All results"


def sheets(report: Report) -> Sequence[ResultTable]:
    """Two tables per corpus or part: the results, and what training took."""
    found: list[ResultTable] = []
    for group in report.groups:
        stem = stem_of("all", group.dataset)
        found.append(group_table(stem, group, left_out=report.left_out, name=_method))
        found += effort_tables("all", [group])
    return found


def _method(line: Line) -> str:
    source = line.first.trained_on
    trained = "" if source is None else f", trained on {source}"
    return f"{METHODS[line.method]}{trained}"
