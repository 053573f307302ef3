"""The files of a learning-rate range test: its steps as CSV, and a figure where matplotlib is installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lalm_ambig.reporting.writing.files import write
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import to_csv

COLUMNS = (
    Column("learning_rate", "learning rate"),
    Column("loss", "loss"),
    Column("smoothed_loss", "smoothed loss"),
)
Steps = Sequence[tuple[float, float, float]]
"""Learning rate, loss and smoothed loss of each step."""


def write_range_test(steps: Steps, *, suggested: float | None, folder: Path, stem: str) -> list[Path]:
    """Write the steps of a range test.

    Args:
        steps: They are in their order.
        suggested: The rate that the figure marks, if any.
        folder: Folder of the files.
        stem: Their name without suffix.

    Returns:
        The CSV file, and the figure if there is one.

    Raises:
        InputError: A file of something else has that name.
    """
    rows = tuple(TableRow((str(n),), tuple(map(Cell, step))) for n, step in enumerate(steps))
    table = ResultTable(("step",), COLUMNS, rows)
    written = folder / f"{stem}.csv"
    write(written, to_csv(table))
    return [written, *([_draw(steps, suggested, folder, stem)] if find_spec("matplotlib") else [])]


def _draw(steps: Steps, suggested: float | None, folder: Path, stem: str) -> Path:
    """Draw losses against the rate, and return the path of the PNG."""
    from lalm_ambig.reporting.drawing.canvas import COLOURS, Drawing, canvas, save, styled

    rates, losses, smoothed = zip(*steps, strict=True)
    with styled():
        figure, (ax,) = canvas(1, 1, width=6.0)
        ax.plot(rates, losses, ".", color=COLOURS[4], label="each step")
        ax.plot(rates, smoothed, color=COLOURS[0], label="smoothed")
        if suggested is not None:
            ax.axvline(suggested, color=COLOURS[5], linestyle="--", label=f"suggested: {suggested:.1e}")
        ax.set(xscale="log", xlabel="learning rate", ylabel="training loss")
        ax.legend()
        figure.suptitle("Learning-rate range test")
        return save(Drawing(stem, "Learning-rate range test", "", figure), folder)
