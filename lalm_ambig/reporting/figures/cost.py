"""JS against the time per item, for several numbers of sampled responses (`evaluate --samples 1 4 16`).

The prediction is the mean distribution of the sampled responses; with one sample it is that of the greedy response.
"""

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.table import interval_cell
from lalm_ambig.reporting.drawing.canvas import COLOURS, MARKERS, Drawing, axis_label, canvas
from lalm_ambig.reporting.drawing.item_groups import MOST_LINES
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

TITLE = "What averaging several reasonings costs"
METRIC = "js_div_bits"
SECONDS = "answering time an item, all samples (s)"
COUNTS = "sampled responses an item (1: the greedy one)"
CAPTION = (
    "Each point: the mean distribution of so many sampled responses, or the greedy response, with its 95 % "
    "interval where there is one. The points of a curve are of the same items: their intervals are not independent."
)
TIMED = " Times are those of evaluate on its own machine, loading left out, and depend on it and on its batch size."
UNTIMED = " Not every row has its time recorded, so that the axis is the number of responses."
Curve = Sequence[Results]


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus on which a policy was evaluated with several numbers of samples."""
    for group in report.groups:
        rows = [row for line in group.lines for row in line.rows]
        curves = {row.label: curve for row in rows if len(curve := _curve(row)) > 1}
        if curves:
            yield _drawing(group, dict(list(curves.items())[:MOST_LINES]))


def _curve(row: ResultRow) -> Curve:
    """Read the row's results for every number of samples on the same items, the fewest samples first."""
    if row.results.about.readout == "none":
        return ()
    others = map(read_results, sorted(row.folder.glob("samples_*/metrics.json")))
    same = [r for r in others if r.items_digest == row.results.items_digest]
    return sorted([row.results, *same], key=lambda found: found.about.samples)


def _drawing(group: Group, curves: Mapping[str, Curve]) -> Drawing:
    timed = all(r.about.seconds_an_item is not None for curve in curves.values() for r in curve)
    figure, (ax,) = canvas(1, 1, width=6.4, height=4.2)
    for at, (label, curve) in enumerate(curves.items()):
        _draw(ax, [(_place(r, timed), r) for r in curve], at, label=label)
    ax.set_xscale("log")
    if not timed:
        counts = sorted({r.about.samples for curve in curves.values() for r in curve})
        ax.set_xticks(counts, list(map(str, counts)))
    else:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.12, y=0.15)
    ax.set_xlabel(SECONDS if timed else COUNTS)
    ax.set_ylabel(axis_label(METRIC))
    figure.legend(loc="outside lower center", ncols=min(4, len(curves)))
    title = f"{TITLE}, {group.title}, {group.results.items} items"
    figure.suptitle(title)
    stem = stem_of("cost", group.dataset)
    caption = CAPTION + (TIMED if timed else UNTIMED)
    return Drawing(stem, title, caption, figure, _table(stem, title, curves))


def _place(results: Results, timed: bool) -> float:
    seconds = results.about.seconds_an_item
    return seconds if timed and seconds is not None else float(results.about.samples)


def _draw(ax: Axes, points: Sequence[tuple[float, Results]], at: int, *, label: str) -> None:
    places, values = [x for x, _ in points], [r.metrics[METRIC].value for _, r in points]
    ax.plot(places, values, color=COLOURS[at], marker=MARKERS[at], markersize=5, linewidth=1.2, label=label)
    for x, results in points:
        found = results.metrics[METRIC]
        if found.low is not None and found.high is not None:
            ax.vlines(x, found.low, found.high, color=COLOURS[at], linewidth=1)
        ax.annotate(_named(results), (x, found.value), xytext=(5, 5), textcoords="offset points", fontsize=8)


def _named(results: Results) -> str:
    return "greedy" if results.about.samples == 1 else str(results.about.samples)


def _table(stem: str, title: str, curves: Mapping[str, Curve]) -> ResultTable:
    columns = (Column("samples", "samples"), Column("seconds_an_item", "s an item"), Column(METRIC, METRIC))
    rows = [
        TableRow(
            (label,),
            (
                Cell(results.about.samples),
                Cell(results.about.seconds_an_item),
                interval_cell(results.metrics[METRIC]),
            ),
        )
        for label, curve in curves.items()
        for results in curve
    ]
    return ResultTable(("row",), columns, tuple(rows), stem=stem, title=title)
