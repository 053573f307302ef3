"""Metrics by ambiguity level, which is a range of the votes' normalised entropy (SHALA-LLM, Figure 2)."""

from collections.abc import Iterator

from lalm_ambig.reporting.drawing.boxes import Ambiguity
from lalm_ambig.reporting.drawing.canvas import Drawing
from lalm_ambig.reporting.drawing.item_groups import by_entropy
from lalm_ambig.reporting.reading.report import Report

TITLE = "By ambiguity level (SHALA-LLM, Figure 2)"
TICKS = {"low": "low, [0, .33)", "medium": "medium, [.33, .66)", "high": "high, [.66, 1]"}
AMBIGUITY = Ambiguity("levels", "ambiguity level (normalised entropy of the votes)", by_entropy, TICKS)


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus."""
    return (AMBIGUITY.drawing(group) for group in report.groups)
