"""One file a figure: `TITLE`, and `drawings(report)` that yields as many as the runs can fill. A new file is found by
itself."""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from lalm_ambig.reporting.drawing import Drawing, save, styled
from lalm_ambig.reporting.files import write
from lalm_ambig.reporting.page import Shown
from lalm_ambig.reporting.report import Report
from lalm_ambig.reporting.writing import to_csv


def figure_names() -> list[str]:
    """What `--figure` takes."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))


def draw(report: Report, names: Sequence[str], *, out: Path) -> list[Shown]:
    """Draw those figures as PNG and SVG into a folder, with the tests of a figure as CSV beside it."""
    found = []
    with styled():
        for drawing in (drawing for name in names for drawing in drawings(name, report)):
            found.append(Shown(drawing.title, drawing.caption, save(drawing, out)))
            if drawing.tests is not None:
                write(out / f"{drawing.stem}.csv", to_csv(drawing.tests))
    return found


def drawings(name: str, report: Report) -> Iterator[Drawing]:
    """What a figure's module draws."""
    found: Iterator[Drawing] = importlib.import_module(f"lalm_ambig.reporting.figures.{name}").drawings(
        report
    )
    return found
