"""The figure of `budget`: label noise, floors and runs by the number of votes, and how often majorities agree.

It needs the extra `figures`.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from lalm_ambig.baselines.floor import alpha_text
from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.reporting.budget.files import STEM
from lalm_ambig.reporting.budget.summary import FLOORS, Budget
from lalm_ambig.reporting.drawing.canvas import COLOURS, MARKERS, Drawing, axis_label, canvas, save, styled

JS = "js_div_bits"
BAND = 0.15
"""Opacity of an interval."""
APART = 1.3
"""Least ratio of two numbers of votes that are both written at the axis."""
CURVES = {
    "js_oracle": ("oracle: n votes and q", "-"),
    "js_panel": ("panel: n votes and n others, by q", "--"),
    "js_others": ("n votes and n others of the item", "x"),
    "js_rest": ("n votes and the rest (too large)", "-."),
    "js_all": ("n votes and all votes (too small)", ":"),
}
"""Measure → its name in the legend, and its style."""
MAJORITIES = {
    "majority_all": "majority is that of all votes",
    "majority_others": "majority is that of n others",
}


def draw_budget(budget: Budget, out: Path) -> Path:
    """Draw the numbers as PNG and SVG.

    Args:
        budget: The numbers.
        out: Folder of the files.

    Returns:
        The path of the PNG.
    """
    with styled():
        return save(drawing(budget), out)


def drawing(budget: Budget) -> Drawing:
    """Two panels over the number of votes: JS, and the share of draws with the same majority."""
    figure, (noise, majority) = canvas(1, 2, width=9.6, height=4.8)
    for at, (name, (label, style)) in enumerate(CURVES.items()):
        _curve(noise, _points(budget, name), label, colour=COLOURS[at], style=style)
    _runs(noise, budget)
    noise.set_ylim(bottom=0)
    noise.set_ylabel(axis_label(JS))
    for at, (name, label) in enumerate(MAJORITIES.items()):
        _curve(majority, _points(budget, name), label, colour=COLOURS[at], style=f"-{MARKERS[at]}")
    majority.set_ylim(top=1.01)
    majority.set_ylabel("share of draws [0, 1]")
    for ax in (noise, majority):
        _votes_axis(ax, budget.votes)
        ax.legend(loc="best")
    title = f"Votes an item, {budget.source}, {len(budget.items.ids):,} items"
    title += "" if budget.bound is None else f"; no q (α {alpha_text(budget.alpha)})"
    figure.suptitle(title)
    return Drawing(STEM, title, "", figure)


def _points(budget: Budget, name: str) -> dict[int, Interval]:
    return {row.votes: row.values[name] for row in budget.rows if name in row.values}


def _runs(ax: Axes, budget: Budget) -> None:
    if budget.runs is None:
        return
    rows = budget.runs.rows[JS]
    for at, name in enumerate(name for name in rows[0].scores if name not in FLOORS):
        points = {row.votes: row.scores[name] for row in rows}
        colour, marker = COLOURS[(at + len(CURVES)) % len(COLOURS)], MARKERS[(at + 1) % len(MARKERS)]
        label = f"{name}, {budget.runs.items:,} items"
        _curve(ax, points, label, colour=colour, style=f"-{marker}")


def _curve(ax: Axes, points: dict[int, Interval], label: str, *, colour: str, style: str) -> None:
    """Draw a curve with its interval as a band."""
    if not points:
        return
    values = [one.value for one in points.values()]
    ax.plot(list(points), values, style, color=colour, markersize=4, linewidth=1.2, label=label)
    bounded = {n: (one.low, one.high) for n, one in points.items() if one.low is not None}
    if bounded:
        low, high = zip(*bounded.values(), strict=True)
        ax.fill_between(list(bounded), low, high, color=colour, alpha=BAND, linewidth=0)


def _votes_axis(ax: Axes, votes: Sequence[int]) -> None:
    ax.set_xscale("log")
    shown = [n for at, n in enumerate(votes) if not at or n >= APART * votes[at - 1] or n == votes[-1]]
    ax.set_xticks(votes, [str(n) if n in shown else "" for n in votes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("votes an item (n)")
