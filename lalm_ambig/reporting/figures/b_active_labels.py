"""Metrics by the number of classes that have a vote (SHALA-LLM, Figures 4 and 5).

The paper draws MSP-Podcast and GoEmotions; here each corpus gets its figure.
"""

from collections.abc import Iterator

from lalm_ambig.reporting.drawing.boxes import Ambiguity
from lalm_ambig.reporting.drawing.canvas import Drawing
from lalm_ambig.reporting.drawing.item_groups import by_active_labels
from lalm_ambig.reporting.reading.report import Report

TITLE = "By number of active labels (SHALA-LLM, Figures 4 and 5)"
AMBIGUITY = Ambiguity("active_labels", "active labels (classes with a vote)", by_active_labels)


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus."""
    return (AMBIGUITY.drawing(group) for group in report.groups)
