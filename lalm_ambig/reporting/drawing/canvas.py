"""Sizes, colours and saving of all figures. Colours can be told apart with any colour vision."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lalm_ambig.metrics.base import formulas
from lalm_ambig.reporting.writing.files import MARK, write_picture
from lalm_ambig.tabular.model import ResultTable

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#888888", "#F0E442")
"""Okabe and Ito's palette. Grey replaces black, which medians have; yellow is last, since it is faint on white."""
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
"""Patterns of bars and boxes, so that a copy without colours can be read."""
MARKERS = "osD^vPX*"
DPI = 150
WIDTH, HEIGHT = 9.0, 4.2
"""Inches."""
TITLE_LETTERS = 12
"""Letters of a figure's title that fit in an inch."""
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "hatch.linewidth": 0.4,
    "figure.titlesize": 11,
    "legend.fontsize": 8,
    "text.parse_math": False,
    "svg.hashsalt": "lalm_ambig",
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Drawing:
    """A figure with its title, caption and numbers."""

    stem: str
    """Name of its files, without suffix."""
    title: str
    caption: str
    figure: Figure
    tests: ResultTable | None = None
    """The figure's numbers, for a CSV: statistical tests, or the points of a curve."""


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures have the `STYLE` of this package."""
    return matplotlib.rc_context(STYLE)


def canvas(
    rows: int, columns: int, *, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Figure, list[Axes]]:
    """Make an empty figure, without a window system.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        width: Inches.
        height: Inches.

    Returns:
        The figure, and its axes in reading order.
    """
    figure = Figure(figsize=(width, height))
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def small_multiples(count: int, *, side: float = 2.8) -> tuple[Figure, list[Axes]]:
    """Make an empty figure of square panels, four in a row.

    Args:
        count: Number of panels.
        side: Side of a panel, in inches.

    Returns:
        The figure, and the axes of the `count` panels in reading order.
    """
    columns = min(4, count)
    rows = -(-count // columns)
    figure, axes = canvas(rows, columns, width=max(side * columns, 5.0), height=(side + 0.3) * rows + 0.4)
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count]


def head(figure: Figure, title: str, counts: str) -> str:
    """Write a title and what was counted above a figure, in two lines where one is wider than the figure.

    Returns:
        Both in one line.
    """
    whole = f"{title}, {counts}"
    if len(whole) <= TITLE_LETTERS * figure.get_figwidth():
        figure.suptitle(whole)
    else:
        figure.suptitle(f"{title},\n{counts}")
        figure.set_figheight(figure.get_figheight() + 0.2)
    return whole


def seed_colour(at: int, of: int) -> str:
    """Return the colour of seed number `at` of `of`; the first colour is that of one seed, or of all together."""
    return COLOURS[0] if of == 1 else COLOURS[1 + at % (len(COLOURS) - 1)]


def save(drawing: Drawing, folder: Path) -> Path:
    """Write a drawing as PNG and SVG. The same figure gives the same bytes.

    Returns:
        The path of the PNG.
    """
    png, svg = (folder / f"{drawing.stem}.{suffix}" for suffix in ("png", "svg"))
    about = {"Date": None, "Creator": MARK}
    write_picture(png, lambda path: drawing.figure.savefig(path, dpi=DPI, metadata={"Software": MARK}))
    write_picture(svg, lambda path: drawing.figure.savefig(path, metadata=about))
    return png


def axis_label(name: str) -> str:
    """Return the axis label of a metric: its label with convention and direction, its name, and its range."""
    metric = {metric.name: metric for metric in formulas(2)}[name]
    low, high = metric.bounds
    return f"{metric.label}, {name} [{low:g}, {high:g}]"


def wrapped(label: str, width: int = 14) -> str:
    """Break a label longer than `width` letters into two lines at a space, if it has one."""
    if len(label) <= width or " " not in label:
        return label
    cut = label.rfind(" ", 0, width + 1)
    cut = cut if cut > 0 else label.find(" ")
    return f"{label[:cut]}\n{label[cut + 1 :]}"
