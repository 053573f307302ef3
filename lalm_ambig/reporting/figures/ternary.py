"""Distributions over three classes as points in a triangle: people's in the first panel, then each model's."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from torch import Tensor

from lalm_ambig.core.distributions import majority
from lalm_ambig.reporting.drawing.canvas import COLOURS, MARKERS, Drawing, head, small_multiples
from lalm_ambig.reporting.drawing.item_groups import (
    MOST_LINES,
    counted,
    line_answers,
    not_shown,
    seeds_note,
    shown_lines,
    titled,
)
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of

TITLE = "Distributions over three classes"
CORNERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]], dtype=torch.float64)
DOT = 7.0
"""Area of a dot of one item, in square points."""
LARGEST = 40
"""Number of items at one place from which a dot grows no more."""
CAPTION = (
    "Each dot is an item, or as many at one place as its area shows, up to 40: in a corner all of the distribution is "
    "on that class, in the middle it is uniform; lines at 1/2. Colour and shape are those of people's majority class "
    "in every panel."
)
SEEDS = "an item has a dot for each seed, and the area is the mean number of items over seeds"


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus that has three classes."""
    return (_drawing(group) for group in report.groups if len(group.results.categories) == 3)


def _drawing(group: Group) -> Drawing:
    lines, names = shown_lines(group)[: MOST_LINES - 1], group.results.categories
    figure, axes = small_multiples(len(lines) + 1)
    found = [line_answers(line) for line in lines]
    target = max(found, key=lambda answers: answers.items).seeds[0].scored.label_dist
    _panel(axes[0], target, majority(target), names=names)
    axes[0].set_title("people")
    for ax, answers in zip(axes[1:], found, strict=True):
        people, model = (
            torch.cat([getattr(seed.scored, name) for seed in answers.seeds])
            for name in ("label_dist", "predicted_dist")
        )
        _panel(ax, model, majority(people), names=names, seeds=len(answers.seeds))
        ax.set_title(titled(answers, found))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, markerscale=2)
    title = head(figure, f"{TITLE}, {group.title}", counted(found))
    caption = CAPTION + seeds_note(found, SEEDS) + not_shown(group)
    return Drawing(stem_of("ternary", group.dataset), title, caption, figure)


def _piles(rows: Float[Tensor, "item 3"]) -> tuple[Float[Tensor, "place 3"], Int[Tensor, " place"]]:
    """Join items that agree to two decimals, since a model may answer a hundred items alike.

    Returns:
        The mean distribution of each place, and its number of items.
    """
    rounded, inverse, counts = torch.unique(
        rows.mul(100).round(), dim=0, return_inverse=True, return_counts=True
    )
    sums = torch.zeros_like(rounded).index_add_(0, inverse, rows)
    return sums / counts.unsqueeze(-1), counts


def _panel(
    ax: Axes, rows: Float[Tensor, "item 3"], kind: Tensor, *, names: Sequence[str], seeds: int = 1
) -> None:
    outline = CORNERS[[0, 1, 2, 0]]
    ax.plot(outline[:, 0].tolist(), outline[:, 1].tolist(), color="black", linewidth=0.8)
    for corner in range(3):
        others = [other for other in range(3) if other != corner]
        middle = (CORNERS[others] + CORNERS[corner]) / 2
        ax.plot(middle[:, 0].tolist(), middle[:, 1].tolist(), color="#cccccc", linewidth=0.6)
        places, counts = _piles(rows[kind == corner])
        points = (places @ CORNERS).tolist()
        ax.scatter(
            [x for x, _ in points],
            [y for _, y in points],
            s=(DOT * (counts / seeds).clamp_max(LARGEST)).tolist(),
            color=COLOURS[corner],
            marker=MARKERS[corner],
            alpha=0.5,
            linewidths=0,
            label=f"majority {names[corner]}",
        )
    ax.text(-0.02, -0.04, names[0], ha="left", va="top", fontsize=8)
    ax.text(1.02, -0.04, names[1], ha="right", va="top", fontsize=8)
    ax.text(0.5, 0.89, names[2], ha="center", va="bottom", fontsize=8)
    ax.set_xlim(-0.08, 1.08)
    ax.set_ylim(-0.14, 1.0)
    ax.set_aspect("equal")
    ax.set_axis_off()
