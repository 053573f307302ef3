"""JS of a linear probe on each layer of an audio encoder, and on the joined ones (`baseline probe --layers`)."""

from collections.abc import Iterator, Mapping

from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.table import interval_cell
from lalm_ambig.reporting.drawing.canvas import COLOURS, Drawing, axis_label, canvas
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import Column, ResultTable, TableRow

TITLE = "What each layer of the audio encoder holds"
METRIC = "js_div_bits"
PREFIX = "layer_"
LAST = "last"
CAPTION = (
    "Each point: a linear probe on mean and deviation over time of one layer, with its 95 % interval; 0 is "
    "the output of the convolutions. The line is the probe on the chosen layers joined with the last, its band the "
    "interval. All are of the same items: their intervals are not independent."
)


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per row that was probed by layer."""
    for group in report.groups:
        rows = [row for line in group.lines for row in line.rows]
        probed = [(row, layers) for row in rows if len(layers := _layers(row)) > 1]
        for number, (row, layers) in enumerate(probed):
            suffix = f"_{number + 1}" if number else ""
            yield _drawing(group, row, layers, stem=stem_of("layers", group.dataset) + suffix)


def _layers(row: ResultRow) -> dict[str, Results]:
    """Read the results of each layer on the row's items: the numbered ones in order, then the last."""
    files = {
        file.parent.name.removeprefix(PREFIX): file for file in row.folder.glob(f"{PREFIX}*/metrics.json")
    }
    names = sorted((name for name in files if name.isdigit()), key=int) + [LAST] * (LAST in files)
    return {name: read_results(files[name]) for name in names}


def _drawing(group: Group, row: ResultRow, layers: Mapping[str, Results], *, stem: str) -> Drawing:
    figure, (ax,) = canvas(1, 1, width=6.4, height=3.8)
    joined = row.results.metrics[METRIC]
    for place, results in enumerate(layers.values()):
        metric = results.metrics[METRIC]
        ax.plot(place, metric.value, color=COLOURS[0], marker="o", markersize=5)
        if metric.low is not None and metric.high is not None:
            ax.vlines(place, metric.low, metric.high, color=COLOURS[0], linewidth=1.2)
    ax.axhline(
        joined.value, color=COLOURS[1], linewidth=1.4, label=f"{row.label}: joined, {joined.value:.3f}"
    )
    if joined.low is not None and joined.high is not None:
        ax.axhspan(joined.low, joined.high, color=COLOURS[1], alpha=0.12, linewidth=0)
    ax.set_xticks(range(len(layers)), list(layers))
    ax.set_xlabel("layer of the audio encoder")
    ax.set_ylabel(axis_label(METRIC))
    ax.margins(x=0.06, y=0.12)
    figure.legend(loc="outside lower center")
    title = f"{TITLE}, {group.title}, {row.results.items} items"
    figure.suptitle(title)
    rows = {**layers, "joined": row.results}
    table = ResultTable(
        ("layer",),
        (Column(METRIC, METRIC),),
        tuple(TableRow((name,), (interval_cell(r.metrics[METRIC]),)) for name, r in rows.items()),
        stem=stem,
        title=title,
    )
    return Drawing(stem, title, CAPTION, figure, table)
