"""The figure of a study: each method's score with its seeds and its interval, beside the reference rows.

It needs the extra `figures`.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from lalm_ambig.evaluation.seeds import mean_and_sd
from lalm_ambig.reporting.drawing.canvas import COLOURS, Drawing, axis_label, canvas, save, styled
from lalm_ambig.reporting.study.summary import RowSummary, Summary

LINES = ("--", "-.", ":", (0, (1, 4)))
"""Of the four reference rows that there can be."""
ROW_HEIGHT = 0.34
"""Inches of a row."""


def draw_study(summary: Summary, out: Path) -> Path:
    """Draw a study as PNG and SVG.

    Args:
        summary: Its numbers.
        out: Folder of the files.

    Returns:
        The path of the PNG.
    """
    with styled():
        return save(drawing(summary), out)


def drawing(summary: Summary) -> Drawing:
    """A row per method that has a finished run: a dot per seed, the mean, and its interval."""
    shown = summary.finished
    figure, axes = canvas(1, 1, height=1.6 + ROW_HEIGHT * len(shown))
    ax = axes[0]
    for place, one in enumerate(shown):
        _draw_row(ax, one, summary.compared, place)
    known = [(name, row.metrics.get(summary.compared)) for name, row in summary.references.items()]
    for (name, interval), style, colour in zip(known, LINES, COLOURS[2:], strict=False):
        if interval is not None:
            ax.axvline(interval.value, color=colour, linestyle=style, label=name)
    ax.set_yticks(range(len(shown)), labels=[one.row.label for one in shown])
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_xlabel(axis_label(summary.compared))
    first = summary.first
    title = f"{summary.outline.title}: {first.about.part_of_corpus}, {first.items} items"
    figure.suptitle(title)
    figure.legend(loc="outside lower center", ncols=6)
    return Drawing(summary.outline.name, title, _caption(shown), figure)


def _draw_row(ax: Axes, one: RowSummary, metric: str, place: int) -> None:
    values, interval = one.row.metric(metric), one.interval
    if interval is not None and interval.low is not None and interval.high is not None:
        label = "95 % interval" if not place else None
        ax.plot([interval.low, interval.high], [place, place], color=COLOURS[6], linewidth=1.2, label=label)
    average, _ = mean_and_sd(values)
    if average is None:
        return
    ax.plot(
        values, [place] * len(values), "o", color=COLOURS[0], markersize=4, label=None if place else "a seed"
    )
    ax.plot([average], [place], "|", color="black", markersize=12, label=None if place else "mean over seeds")


def _caption(shown: Sequence[RowSummary]) -> str:
    counts = ", ".join(f"{one.row.label} {len(one.row.runs)}" for one in shown)
    return f"Dots: seeds ({counts}). Bars: 95 % intervals of the mean over seeds."
