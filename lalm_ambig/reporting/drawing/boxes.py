"""Box plots of items by ambiguity, methods side by side, with rank tests (SHALA-LLM, Figures 2, 4 and 5)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from torch import Tensor

from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.reporting.drawing.canvas import (
    COLOURS,
    HATCHES,
    MARKERS,
    Drawing,
    axis_label,
    canvas,
)
from lalm_ambig.reporting.drawing.item_groups import (
    PER_ITEM,
    LineAnswers,
    counted,
    line_answers,
    not_shown,
    seeds_note,
    shown_lines,
    span,
    titled,
)
from lalm_ambig.reporting.drawing.ranks import RankTest, rank_tests
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

LABEL_METRICS = ("accuracy", "f1_macro")
SPREAD = 0.8
"""Width of all boxes of a level, as a share of the distance between levels."""
SPEAKERS = (
    "Items of one speaker are not independent, and these tests take them as if they were: p is too small. "
)
SEEDS = (
    "an item's value is its mean over seeds, in boxes and tests, so that an item counts once; points are the mean of "
    "each seed's value, with an interval that allows for other seeds"
)
Kinds = Callable[[Float[Tensor, "item category"]], tuple[Int[Tensor, " item"], tuple[str, ...]]]
"""Votes → the index of each item's level, and the names of the levels."""


@dataclass(frozen=True)
class Levels:
    """The scored items of one line, split by level."""

    label: str
    names: tuple[str, ...]
    """The levels, in the order of the axis."""
    parts: tuple[LineAnswers, ...]
    """The items of each level."""
    notes: tuple[str, ...] = ()
    """What a table of tests says of the values."""

    def values(self, metric: str) -> dict[str, list[float]]:
        """Compute a metric of `PER_ITEM` for each item, as a mean over seeds.

        Returns:
            Level → the values of its items.
        """
        return {name: part.per_item(metric) for name, part in zip(self.names, self.parts, strict=True)}

    def intervals(self, metric: str) -> list[Interval | None]:
        """Compute a metric over each level's items, with its interval.

        Returns:
            One interval per level; None for a level without items.
        """
        return [part.interval(metric) for part in self.parts]


@dataclass(frozen=True)
class Ambiguity:
    """A figure's rule for the level of each item, with its file name and axis labels."""

    stem: str
    """Beginning of the file's name."""
    axis: str
    """Label of the x axis."""
    kinds: Kinds
    ticks: Mapping[str, str] = field(default_factory=dict)
    """Level → its label on the axis, if that is not its name."""

    def drawing(self, group: Group) -> Drawing:
        """Draw boxes of JSD and BC above, accuracy and macro F1 below, and test JSD and BC between levels.

        Args:
            group: The lines of one corpus; the first eight are drawn.

        Returns:
            The figure, its caption with the tests, and the tests as a table.
        """
        found = [line_answers(line) for line in shown_lines(group)]
        lines = [self._levels(answers) for answers in found]
        figure, axes = canvas(2, 2, height=6.4)
        for ax, metric in zip(axes[:2], PER_ITEM, strict=True):
            _boxes(ax, lines, metric)
        for ax, metric in zip(axes[2:], LABEL_METRICS, strict=True):
            _points(ax, lines, metric)
        self._label(axes, lines)
        handles = _handles([titled(answers, found) for answers in found])
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(lines)))
        title = f"{group.title} by {self.axis.partition(' (')[0]}, {counted(found)}"
        figure.suptitle(title)
        tests = list(_tests(lines))
        stem, spoken = stem_of(self.stem, group.dataset), group.results.clusters != "items"
        caption = _caption(tests, spoken=spoken) + seeds_note(found, SEEDS) + not_shown(group)
        notes = {line.label: line.notes for line in lines}
        return Drawing(stem, title, caption, figure, _table(stem, title, tests, notes))

    def _levels(self, answers: LineAnswers) -> Levels:
        _, names = self.kinds(answers.seeds[0].votes)
        parts = tuple(answers.split(lambda votes: self.kinds(votes)[0], len(names)))
        count = len(answers.seeds)
        notes = (f"an item's value is its mean over {count} seeds",) if count > 1 else ()
        return Levels(answers.line.label, names, parts, notes)

    def _label(self, axes: Sequence[Axes], lines: Sequence[Levels]) -> None:
        counts = (span(part.items for part in parts) for parts in zip(*(x.parts for x in lines), strict=True))
        ticks = [
            f"{self.ticks.get(name, name)}\nn = {count}"
            for name, count in zip(lines[0].names, counts, strict=True)
        ]
        for ax in axes:
            ax.set_xticks(range(len(ticks)), ticks)
            ax.set_xlabel(self.axis)
            ax.set_xlim(-0.5, len(ticks) - 0.5)
            ax.grid(visible=False, axis="x")


def _places(at: int, count: int) -> float:
    """Return the x offset of the box of method `at` of `count`, relative to its level."""
    return (at - (count - 1) / 2) * SPREAD / count


def _boxes(ax: Axes, lines: Sequence[Levels], metric: str) -> None:
    for at, line in enumerate(lines):
        values = list(line.values(metric).values())
        places = [level + _places(at, len(lines)) for level in range(len(values))]
        drawn = ax.boxplot(
            values,
            positions=places,
            widths=SPREAD / len(lines) * 0.85,
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": "black", "linewidth": 1.2},
            flierprops={"marker": ".", "markersize": 2, "markeredgecolor": "#888888"},
        )
        for box in drawn["boxes"]:
            box.set(facecolor=COLOURS[at], hatch=HATCHES[at], alpha=0.75)
    ax.set_ylabel(axis_label(metric))
    ax.set_ylim(-0.02, 1.02)


def _points(ax: Axes, lines: Sequence[Levels], metric: str) -> None:
    for at, line in enumerate(lines):
        found = line.intervals(metric)
        known = [(level + _places(at, len(lines)) / 2, i) for level, i in enumerate(found) if i is not None]
        ax.plot(
            [x for x, _ in known],
            [i.value for _, i in known],
            color=COLOURS[at],
            marker=MARKERS[at],
            markersize=5,
            linewidth=1.2,
        )
        for x, i in known:
            if i.low is not None and i.high is not None:
                ax.vlines(x, i.low, i.high, color=COLOURS[at], linewidth=1)
    ax.set_ylabel(axis_label(metric))
    ax.set_ylim(-0.02, 1.02)


def _handles(labels: Sequence[str]) -> list[Patch]:
    return [
        Patch(facecolor=COLOURS[at], hatch=HATCHES[at], alpha=0.75, label=label)
        for at, label in enumerate(labels)
    ]


def _tests(lines: Sequence[Levels]) -> Iterator[tuple[str, str, RankTest]]:
    for metric in PER_ITEM:
        for line in lines:
            for tested in rank_tests(line.values(metric)):
                yield metric, line.label, tested


def _caption(tests: Sequence[tuple[str, str, RankTest]], *, spoken: bool) -> str:
    parts = [
        "Boxes: quartiles over items, whiskers to the last item within 1.5 interquartile ranges, dots beyond. Points: "
        "the value over a level's items with its 95 % interval, where there are enough items. "
        f"{SPEAKERS if spoken else ''}Kruskal–Wallis over levels:"
    ]
    shown = [
        f"{label}, {metric}: H = {t.statistic:.1f}, p {_p(t.p)}{_pairs(tests, metric, label)}"
        for metric, label, t in tests
        if t.p_holm is None
    ]
    ending = "Pairs of levels by Mann–Whitney, two-sided, p adjusted by Holm over a method's pairs; all are in the CSV."
    return " ".join([*parts, "; ".join(shown) or "not defined, all values are equal", "–", ending])


def _pairs(tests: Sequence[tuple[str, str, RankTest]], metric: str, label: str) -> str:
    found = [t for m, name, t in tests if (m, name) == (metric, label) and t.p_holm is not None]
    listed = ", ".join(f"{'–'.join(t.levels)} {_p(t.p_holm)}" for t in found if t.p_holm is not None)
    return f" ({listed})" if listed else ""


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _table(
    stem: str,
    title: str,
    tests: Sequence[tuple[str, str, RankTest]],
    notes: Mapping[str, tuple[str, ...]],
) -> ResultTable:
    columns = tuple(Column(key, key) for key in ("statistic", "p", "p_holm"))
    rows = tuple(
        TableRow(
            (metric, label, t.test, " vs ".join(t.levels), " vs ".join(map(str, t.sizes))),
            (Cell(t.statistic), Cell(t.p), Cell(t.p_holm)),
            notes[label],
        )
        for metric, label, t in tests
    )
    heads = ("metric", "method", "test", "levels", "items")
    return ResultTable(heads, columns, rows, stem=stem, title=title)
