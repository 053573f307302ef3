"""The figures of a report, drawn and saved: the extra `figures` is needed from here on."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import lalm_ambig.reporting.figures
from lalm_ambig.core.discovery import module_of
from lalm_ambig.reporting.drawing.canvas import Drawing, save, styled
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import write
from lalm_ambig.reporting.writing.page import DrawnFigure
from lalm_ambig.tabular.writers import to_csv

MARK_WIDTH = 110
"""Letters of a line above a figure."""


def draw(report: Report, names: Sequence[str], *, out: Path) -> list[DrawnFigure]:
    """Draw those figures as PNG and SVG into a folder, with the tests of a figure as CSV beside it."""
    found = []
    with styled():
        for drawing in (drawing for name in names for drawing in drawings(name, report)):
            drawing = with_marks(drawing, report)
            found.append(DrawnFigure(drawing.title, drawing.caption, save(drawing, out)))
            if drawing.tests is not None:
                write(out / f"{drawing.stem}.csv", to_csv(drawing.tests))
    return found


def with_marks(drawing: Drawing, report: Report) -> Drawing:
    """The figure with what keeps lines of the report from being tests, in its caption and in the picture itself."""
    marks = [mark for group in report.groups for mark in group.marks]
    if not marks:
        return drawing
    leaky = {line.label for group in report.groups for line in group.lines if line.is_leaky}
    above = [mark for mark in marks if mark.partition(": ")[0] in leaky]
    lines = [drawing.figure.get_suptitle(), *(textwrap.fill(mark, MARK_WIDTH) for mark in above)]
    drawing.figure.suptitle("\n".join(filter(None, lines)))
    return replace(drawing, caption=" ".join([drawing.caption, *marks]))


def drawings(name: str, report: Report) -> Iterator[Drawing]:
    """The drawings that a figure's module makes of the report."""
    drawn: Iterator[Drawing] = module_of(lalm_ambig.reporting.figures, name).drawings(report)
    return drawn
