"""Losses, rewards and validation metrics against optimiser steps, from the CSV log of each run."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.effort import read_effort
from lalm_ambig.reporting.drawing.canvas import COLOURS, MARKERS, Drawing, axis_label, canvas
from lalm_ambig.reporting.drawing.item_groups import MOST_LINES
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of

TITLE = "Learning curves"
METRIC = "js_div_bits"
Panel = tuple[tuple[str, ...], str]
"""Columns of a log, and the label of the y axis. A run has one of the columns, by its readout."""
VALIDATED: tuple[Panel, ...] = (
    ((f"generated/{METRIC}", f"direct/{METRIC}"), f"validation {axis_label(METRIC)}"),
    ((f"curated/{METRIC}",), f"behind curated reasoning: {METRIC} ↓"),
)
PANELS: tuple[Panel, ...] = (
    *VALIDATED,
    (("train/loss",), "training loss (each run's own objective)"),
    (("train/reward",), "mean reward of the responses"),
)
CAPTION = (
    "Validation is on the run's validation items, read as in evaluation, and behind the "
    "curated reasoning; at 0, before training. Losses are of different objectives and compare within a run only."
)
Log = Mapping[str, Sequence[tuple[int, float]]]


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus on which runs with a log were trained.

    Raises:
        InputError: A log has no column `step`, or a field that is not a number.
    """
    for group in report.groups:
        rows = [row for line in group.lines for row in line.rows]
        runs = [row for row in rows if row.run is not None and row.trained_on is None]
        logs = {row.label: log for row in runs if (log := _log(row)).is_file()}
        if logs:
            without = [row.label for row in runs if row.label not in logs]
            yield _drawing(group, dict(list(logs.items())[:MOST_LINES]), without)


def _log(row: ResultRow) -> Path:
    return (row.run or row.folder) / "metrics.csv"


def read_log(path: Path) -> Log:
    """Read a CSV log of Lightning, of a run whose `training.json` is beside it if it is finished.

    Returns:
        Column → (number of finished optimiser steps, value) of each row where the column is filled.

    Raises:
        InputError: The file has no column `step`, or a field is not a number.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    effort = read_effort(path.with_name("training.json"))
    updates = None if effort is None else effort.updates
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if "step" not in (reader.fieldnames or ()):
            raise InputError("it has no column 'step'", where=str(path))
        for number, row in enumerate(reader, start=2):
            try:
                filled = {name: float(text) for name, text in row.items() if text}
                steps = 0 if _is_before_training(filled, found) else _finished(int(row["step"]), updates)
                for name, value in filled.items():
                    found.setdefault(name, []).append((steps, value))
            except (TypeError, ValueError) as error:
                raise InputError(f"not a number: {error}", where=f"{path}:{number}") from error
    return found


def _is_before_training(row: Mapping[str, float], earlier: Log) -> bool:
    """Whether a row is the validation before the first step, which Lightning numbers as the one after it."""
    validated = any(name in row for columns, _ in VALIDATED for name in columns)
    begun = any(name in earlier for columns, _ in PANELS for name in columns)
    return row["step"] == 0 and validated and not begun


def _finished(step: int, updates: int | None) -> int:
    """The number of finished steps at a row of Lightning's log.

    Lightning numbers a step's rows from 0, and counts the step before `on_train_end`, where `fit` may validate once
    more; a finished run's number of steps tells.
    """
    return step + 1 if updates is None else min(step + 1, updates)


def _drawing(group: Group, files: Mapping[str, Path], without: Sequence[str]) -> Drawing:
    logs = {label: read_log(path) for label, path in files.items()}
    panels = [panel for panel in PANELS if any(_points(log, panel) for log in logs.values())] or [PANELS[0]]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = canvas(rows, columns, height=3.2 * rows + 0.6)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, panel in zip(axes, panels, strict=False):
        for at, log in enumerate(logs.values()):
            _curve(ax, _points(log, panel), at)
        ax.set_ylabel(panel[1])
        ax.set_xlabel("optimiser steps")
    handles = [
        Line2D([], [], color=COLOURS[at], marker=MARKERS[at], label=label) for at, label in enumerate(logs)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    title = f"{TITLE}, {group.title}, {len(logs)} run{'s' if len(logs) > 1 else ''}"
    figure.suptitle(title)
    return Drawing(stem_of("learning", group.dataset), title, CAPTION + _sources(files, without), figure)


def _sources(files: Mapping[str, Path], without: Sequence[str]) -> str:
    listed = "; ".join(f"{label}: {path.parent.name}/{path.name}" for label, path in files.items())
    missing = f" Without such a file: {', '.join(without)}." if without else ""
    return f" From {listed}.{missing}"


def _points(log: Log, panel: Panel) -> Sequence[tuple[int, float]]:
    return next((log[name] for name in panel[0] if name in log), ())


def _curve(ax: Axes, points: Sequence[tuple[int, float]], at: int) -> None:
    if points:
        marker = MARKERS[at] if len(points) < 30 else None
        steps, values = zip(*points, strict=True)
        ax.plot(steps, values, color=COLOURS[at], marker=marker, markersize=4, linewidth=1.1)
