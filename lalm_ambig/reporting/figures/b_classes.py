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
from lalm_ambig.evaluation.breakdowns import ScoredItems
from lalm_ambig.evaluation.intervals import Interval, intervals
from lalm_ambig.metrics.labels import LabelCounts, class_f1
from lalm_ambig.reporting.drawing.canvas import (
    COLOURS,
    HATCHES,
    Drawing,
    axis_label,
    canvas,
    wrapped,
)
from lalm_ambig.reporting.drawing.item_groups import not_shown, scored, shown_lines
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
    lines, classes = shown_lines(group), group.results.categories
    figure, axes = canvas(2, 2, width=max(9.0, 1.4 * len(classes) + 2), height=6.4)
    counts = [0] * len(classes)
    for at, line in enumerate(lines):
        answers, votes = scored(line)
        kind = majority(votes)
        counts = [int((kind == c).sum()) for c in range(len(classes))]
        parts = [answers.where(kind == c) for c in range(len(classes))]
        for ax, metric in zip(axes[:3], METRICS, strict=True):
            _bars(ax, [_interval(part, metric) for part in parts], at=at, of=len(lines), label=line.label)
        _bars(axes[3], _f1(answers, len(classes)), at=at, of=len(lines), label=line.label)
    for ax, label in zip(axes, [*map(axis_label, METRICS), f"{ClassF1.label} [0, 1]"], strict=True):
        ax.set_ylabel(label)
        ax.set_ylim(0, 1.02)
        ticks = [f"{wrapped(name)}\nn = {count}" for name, count in zip(classes, counts, strict=True)]
        ax.set_xticks(range(len(classes)), ticks)
        ax.set_xlabel("majority class")
        ax.grid(visible=False, axis="x")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(lines)))
    title = f"{group.title} by majority class, {sum(counts)} items"
    figure.suptitle(title)
    stem = stem_of("classes", group.dataset)
    return Drawing(stem, title, CAPTION + not_shown(group), figure)


def _interval(part: ScoredItems, metric: str) -> Interval | None:
    return part.intervals([metric])[metric] if len(part.label_dist) else None


def _f1(answers: ScoredItems, width: int) -> list[Interval | None]:
    found: list[Interval | None] = []
    for category in range(width):
        metric = ClassF1(width, category=category)
        values = intervals(
            [metric], answers.label_dist, predicted_dist=answers.answers, clusters=answers.clusters
        )
        found.append(values[metric.name])
    return found


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
