r"""Metrics by majority class (SHALA-LLM, Figures 3, 6 and 7).

F1 departs from the paper, which computes a class's F1 on the items of that class alone. Precision is then 1, and F1 is
a function of the accuracy $a$: $2a/(1 + a)$, so 0.05 gives 0.09 and 0.72 gives 0.83. Here F1 is of the class against
the rest, on all items.
"""

from collections.abc import Iterator, Sequence

from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor

from lalm_ambig.core.distributions import majority
from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.metrics.labels import LabelCounts, class_f1
from lalm_ambig.reporting.drawing.canvas import (
    COLOURS,
    HATCHES,
    Drawing,
    axis_label,
    canvas,
    wrapped,
)
from lalm_ambig.reporting.drawing.item_groups import (
    LineAnswers,
    counted,
    line_answers,
    not_shown,
    seeds_note,
    shown_lines,
    span,
    titled,
)
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of

TITLE = "By majority class (SHALA-LLM, Figures 3, 6 and 7)"
METRICS = ("js_dist_bits", "bc", "accuracy")
SPREAD = 0.8
CAPTION = (
    "Bars: the value over the items of a majority class (ties: the first class), with its 95 % interval "
    "where there are enough items. F1: the class against the rest, on all items; accuracy on a class's items is its "
    "recall."
)
SEEDS = "a bar is the mean of each seed's value, with an interval that allows for other seeds"


class ClassF1(LabelCounts):
    """F1 of one class against the rest, in [0, 1]; both labels are the class of the largest probability."""

    name = "f1_class"
    label = "F1 (class against rest) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def __init__(self, n_categories: int, *, category: int) -> None:
        super().__init__(n_categories)
        self.category = category

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return class_f1(sums)[0][..., self.category]


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus: JSD, BC, accuracy and F1 of each class."""
    return (_drawing(group) for group in report.groups)


def _drawing(group: Group) -> Drawing:
    found, classes = [line_answers(line) for line in shown_lines(group)], group.results.categories
    figure, axes = canvas(2, 2, width=max(9.0, 1.4 * len(classes) + 2), height=6.4)
    parts = [answers.split(majority, len(classes)) for answers in found]
    for at, (answers, by_class) in enumerate(zip(found, parts, strict=True)):
        label = titled(answers, found)
        for ax, metric in zip(axes[:3], METRICS, strict=True):
            _bars(ax, [part.interval(metric) for part in by_class], at=at, of=len(found), label=label)
        _bars(axes[3], _f1(answers, len(classes)), at=at, of=len(found), label=label)
    counts = [span(part.items for part in of_class) for of_class in zip(*parts, strict=True)]
    for ax, label in zip(axes, [*map(axis_label, METRICS), f"{ClassF1.label} [0, 1]"], strict=True):
        ax.set_ylabel(label)
        ax.set_ylim(0, 1.02)
        ticks = [f"{wrapped(name)}\nn = {count}" for name, count in zip(classes, counts, strict=True)]
        ax.set_xticks(range(len(classes)), ticks)
        ax.set_xlabel("majority class")
        ax.grid(visible=False, axis="x")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(found)))
    title = f"{group.title} by majority class, {counted(found)}"
    figure.suptitle(title)
    caption = CAPTION + seeds_note(found, SEEDS) + not_shown(group)
    return Drawing(stem_of("classes", group.dataset), title, caption, figure)


def _f1(answers: LineAnswers, width: int) -> list[Interval | None]:
    return [answers.interval_of(ClassF1(width, category=category)) for category in range(width)]


def _bars(ax: Axes, found: Sequence[Interval | None], *, at: int, of: int, label: str) -> None:
    for place, interval in enumerate(found):
        x = place + (at - (of - 1) / 2) * SPREAD / of
        if interval is None:
            ax.text(x, 0.01, "–", ha="center")
            continue
        if interval.value == 0:
            ax.text(x, 0.01, "0", ha="center", fontsize=7)
        name = label if place == 0 else None
        ax.bar(
            x,
            interval.value,
            SPREAD / of * 0.92,
            color=COLOURS[at],
            hatch=HATCHES[at],
            alpha=0.75,
            label=name,
        )
        if interval.low is not None and interval.high is not None:
            ax.vlines(x, interval.low, interval.high, color="black", linewidth=0.9)
