"""The table of a sweep: the validation of each combination of values, and the best of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from lalm_ambig.evaluation.responses import UNREAD, choosing_value
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.seeds import mean_and_sd
from lalm_ambig.evaluation.table import interval_cell, metric_columns
from lalm_ambig.tabular.model import BEST, Cell, ResultTable, TableRow, ranked

Runs = Sequence[Path | None]
"""The run folders of a combination, of each seed and fold; None for a run that diverged."""
DIVERGED = "diverged"


@dataclass(frozen=True)
class SweepSummary:
    """A sweep's table, and its choice."""

    table: ResultTable
    best: int | None
    """Number of the combination with the lowest value; None where there is none to choose."""


def summarise(heads: Sequence[str], runs: Mapping[tuple[str, ...], Runs], metric: str) -> SweepSummary:
    """Compare the runs of a sweep on the validation split.

    Args:
        heads: The keys.
        runs: Values of the keys → the run folders, of the same seeds and folds for each.
        metric: The metric that chooses. The lowest value is the best.
    """
    results = {point: [_results(run, "trained") for run in folders] for point, folders in runs.items()}
    complete = next((folders for folders in runs.values() if None not in folders), ())
    prior = [_results(run, "prior") for run in complete]
    finished = [one for row in results.values() for one in row if one is not None]
    if not finished:
        diverged = tuple(TableRow(point, (Cell(text=DIVERGED),)) for point in runs)
        reason = ("Every run diverged: its loss was not finite.",)
        return SweepSummary(ResultTable(tuple(heads), metric_columns([metric]), diverged, reason), None)
    columns = metric_columns(list(dict.fromkeys([metric, *finished[0].about.table_metrics])))
    rows_of = [TableRow(point, _cells(row, [c.key for c in columns])) for point, row in results.items()]
    problem = _incomparable(list(results.values()))
    best = None if problem else _lowest(list(results.values()), metric)
    if problem is None:
        among = [n for n, row in enumerate(results.values()) if None not in row]
        rows_of = ranked(rows_of, columns, among=among, ranking=BEST)
    prior_row = TableRow(("prior", *[""] * (len(heads) - 1)), _cells(prior, [c.key for c in columns]))
    caption = _caption(finished[0], metric, results, problem)
    notices = [] if best is None else _notices(list(results.values())[best], prior, metric)
    table = ResultTable(tuple(heads), columns, (prior_row, *rows_of), (*caption, *notices), frozenset({0}))
    return SweepSummary(table, best)


def _results(run: Path | None, name: str) -> Results | None:
    file = None if run is None else run / "evaluation" / "validation" / name / "metrics.json"
    return None if file is None or not file.is_file() else read_results(file)


def _cells(row: Sequence[Results | None], metrics: Sequence[str]) -> tuple[Cell, ...]:
    """A combination's value of each metric: with its interval for one run, with the runs' deviation for several."""
    known = [one for one in row if one is not None]
    if not row:
        return tuple(Cell() for _ in metrics)
    if len(known) < len(row):
        return (Cell(text=DIVERGED), *[Cell()] * (len(metrics) - 1))
    if len(known) == 1:
        return tuple(interval_cell(known[0].metrics.get(metric)) for metric in metrics)
    pooled = [mean_and_sd([one.metrics[m].value for one in known if m in one.metrics]) for m in metrics]
    return tuple(Cell(value, spread=deviation) for value, deviation in pooled)


def _incomparable(rows: Sequence[Sequence[Results | None]]) -> str | None:
    """Why the combinations cannot be compared: they were validated on different items; None if they can."""
    for seats in zip(*rows, strict=True):
        if len({one.items_digest for one in seats if one is not None}) > 1:
            return "These values change the validation items, so that none of them is the best."
    return None


def _lowest(rows: Sequence[Sequence[Results | None]], metric: str) -> int | None:
    """The first combination with the lowest mean, of those whose runs have all ended."""
    values = {
        number: mean(
            choosing_value(one.metrics[metric].value, one.parse_rate) for one in row if one is not None
        )
        for number, row in enumerate(rows)
        if None not in row
    }
    finite = {number: value for number, value in values.items() if math.isfinite(value)}
    return min(finite, key=lambda number: finite[number]) if finite else None


def _caption(
    first: Results,
    metric: str,
    results: Mapping[tuple[str, ...], Sequence[Results | None]],
    problem: str | None,
) -> list[str]:
    count = len(next(iter(results.values())))
    label = metric_columns([metric])[0].label.rstrip(" ↓↑")
    spread = (
        f"mean ± standard deviation of {count} runs each"
        if count > 1
        else f"over {first.n_clusters} {first.clusters}"
    )
    lines = [f"{first.about.corpus}, validation split, {first.items} items; {spread}; chosen by {label}."]
    if problem is not None:
        return [*lines, problem]
    if any(one.parse_rate not in (None, 1) for row in results.values() for one in row if one is not None):
        lines.append(f"{UNREAD[0].upper()}{UNREAD[1:]}.")
    lines.append("The best of several is better here than on new items: it was chosen on these.")
    if count == 1:
        lines.append(
            "One seed: another one can change a value by more than the difference. --seeds 0 1 2 shows that."
        )
    return lines


def _notices(row: Sequence[Results | None], prior: Sequence[Results | None], metric: str) -> list[str]:
    """A line if the best combination does not beat the prior."""
    chosen, reference = (
        [choosing_value(one.metrics[metric].value, one.parse_rate) for one in rows if one is not None]
        for rows in (row, prior)
    )
    if reference and not mean(chosen) < mean(reference):
        return [f"Even the best does not beat the prior ({mean(chosen):.3f}, prior {mean(reference):.3f})."]
    return []
