"""Metrics of SFT and DPO, trained with and without the KL term (ambiguity-aware LALM, Figure 2)."""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from lalm_ambig.metrics.base import formulas
from lalm_ambig.reporting.drawing.canvas import COLOURS, HATCHES, Drawing, canvas
from lalm_ambig.reporting.reading.groups import Group, lines_by_method
from lalm_ambig.reporting.reading.lines import Line
from lalm_ambig.reporting.reading.report import Report

TITLE = "With and without KL supervision (ambiguity-aware LALM, Figure 2)"
METRICS = ("js_div_bits", "bc", "r2_pearson_item", "brier_mean")
PAIRS = {"SFT": ("sft_ce_only", "sft"), "DPO": ("dpo_ce_only", "dpo")}
"""Method → without KL, with KL."""
NAMES = ("CE only (w/o KL)", "with KL")
WIDTH = 0.36
CAPTION = (
    "Bars: the value on the test items with its 95 % interval, or with the standard deviation between seeds or folds; "
    "a dash stands for a run that was not given. Of several runs of one kind the first is shown."
)
Panel = tuple[str, Group, tuple[Line | None, Line | None]]


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw the metrics of runs with and without KL side by side, in one panel per method and corpus.

    Returns:
        One figure, or none if no run was trained without KL.
    """
    panels = list(_panels(report))
    if not any(pair[0] is not None for _, _, pair in panels):
        return
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = canvas(rows, columns, height=3.2 * rows + 0.5)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for letter, ax, (method, group, pair) in zip("abcdefghijklmnop", axes, panels, strict=False):
        for at, line in enumerate(pair):
            _bars(ax, line, at)
        ax.set_title(f"({letter}) {method} on {group.title}, {_items(pair)} items")
        labels = {metric.name: metric.label for metric in formulas(2)}
        ax.set_xticks(range(len(METRICS)), [labels[name].replace(" (", "\n(") for name in METRICS])
        ax.set_ylim(0, 1)
        ax.set_ylabel("value of the metric")
        ax.grid(visible=False, axis="x")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    yield Drawing("a2_kl", TITLE, CAPTION, figure)


def _panels(report: Report) -> Iterator[Panel]:
    for method, (without, full) in PAIRS.items():
        for group in report.groups:
            found = lines_by_method(group)
            pair = _first(found.get(without, ())), _first(found.get(full, ()))
            if pair != (None, None):
                yield method, group, pair


def _first(lines: Sequence[Line]) -> Line | None:
    return lines[0] if lines else None


def _items(pair: tuple[Line | None, Line | None]) -> int:
    """The number of different items: folds have their own, seeds the same ones."""
    line = pair[0] or pair[1]
    return 0 if line is None else sum({row.fold: row.results.items for row in line.rows}.values())


def _bars(ax: Axes, line: Line | None, at: int) -> None:
    for place, name in enumerate(METRICS):
        x = place + (at - 0.5) * (WIDTH + 0.03)
        interval, spread = (None, None) if line is None else line.metric(name)
        label = NAMES[at] if place == 0 else None
        height = 0.0 if interval is None else interval.value
        ax.bar(x, height, WIDTH, color=COLOURS[at], hatch=HATCHES[at], alpha=0.75, label=label)
        if interval is None:
            ax.text(x, 0.01, "–", ha="center", fontsize=14)
        elif spread is not None:
            ax.vlines(x, height - spread, height + spread, color="black", linewidth=1)
        elif interval.low is not None and interval.high is not None:
            ax.vlines(x, interval.low, interval.high, color="black", linewidth=1)
