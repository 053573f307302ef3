"""Draw and save the figures of a report. This needs the extra `figures`."""

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
"""Letters per line above a figure."""


def draw(report: Report, names: Sequence[str], *, out: Path) -> list[DrawnFigure]:
    """Draw figures as PNG and SVG, and write the numbers of each as CSV.

    Args:
        report: The results to draw.
        names: Names of figures, as `--figure` takes them.
        out: Folder of the files.

    Returns:
        The drawn figures, in the order of the names.
    """
    found = []
    with styled():
        for drawing in (drawing for name in names for drawing in drawings(name, report)):
            drawing = with_marks(drawing, report)
            found.append(DrawnFigure(drawing.title, drawing.caption, save(drawing, out)))
            if drawing.tests is not None:
                write(out / f"{drawing.stem}.csv", to_csv(drawing.tests))
    return found


def with_marks(drawing: Drawing, report: Report) -> Drawing:
    """Add the marks of lines that are no tests to a drawing's caption.

    The marks of lines with leaked items are also written above the picture, since a picture is copied without caption.
    """
    marks = [mark for group in report.groups for mark in group.marks]
    if not marks:
        return drawing
    leaky = {line.label for group in report.groups for line in group.lines if line.is_leaky}
    above = [mark for mark in marks if mark.partition(": ")[0] in leaky]
    lines = [drawing.figure.get_suptitle(), *(textwrap.fill(mark, MARK_WIDTH) for mark in above)]
    drawing.figure.suptitle("\n".join(filter(None, lines)))
    return replace(drawing, caption=" ".join([drawing.caption, *marks]))


def drawings(name: str, report: Report) -> Iterator[Drawing]:
    """Make the drawings of one figure's module."""
    drawn: Iterator[Drawing] = module_of(lalm_ambig.reporting.figures, name).drawings(report)
    return drawn
