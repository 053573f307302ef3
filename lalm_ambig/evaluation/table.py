"""Several results side by side; only results that may be compared.

Columns are the `table_metrics` of the corpus: paper A's for its corpora, paper B's for its own. A second table shows
the first two of them, a divergence and the overlap, by ambiguity level.
"""

from collections.abc import Collection, Mapping, Sequence

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.bootstrap import FEWEST_ITEMS, FEWEST_SPEAKERS, LEVEL, NO_INTERVAL
from lalm_ambig.evaluation.breakdowns import Part
from lalm_ambig.evaluation.grid import Cell, Grid, metric_column
from lalm_ambig.evaluation.overlap import marked
from lalm_ambig.evaluation.results import Results
from lalm_ambig.metrics.base import DistributionMetric, all_metrics

LEVEL_METRICS = 2
"""How many of the columns the table by ambiguity level has."""


def main_table(results: Mapping[str, Results], *, bounds: Collection[str] = ()) -> Grid:
    """Row name → results, the best value of each column standing out, and a caption that says what was measured.

    Rows that are `bounds` say what is possible, and never stand out; nor do rows on items that were trained on.

    Columns are those of the first result: results that were written before a corpus had columns of its own hold the
    values, too. InputError if the results are not on the same items.
    """
    check_comparable(results)
    metrics, bounds = _columns(results), {*bounds, *_leaky(results)}
    columns = [
        metric_column(
            metric, {name: row.metrics[metric.name] for name, row in results.items()}, bounds=bounds
        )
        for metric in metrics
    ]
    rows = [
        [Cell(marked(name, row.about.trained_items)), *(column[name] for column in columns)]
        for name, row in results.items()
    ]
    head = ["method", *(metric.label for metric in metrics)]
    if any(result.parse_rate is not None for result in results.values()):
        head.append("parsed")
        for row, result in zip(rows, results.values(), strict=True):
            row.append(Cell("–" if result.parse_rate is None else f"{result.parse_rate:.1%}"))
    return Grid(head, rows, caption(results))


def ambiguity_table(results: Mapping[str, Results], *, bounds: Collection[str] = ()) -> Grid:
    """The rows of `main_table` by ambiguity level, with the number of items; the best within a level stands out.

    A level without items has no rows. InputError as there.
    """
    check_comparable(results)
    metrics = _columns(results)[:LEVEL_METRICS]
    results = {marked(name, row.about.trained_items): row for name, row in results.items()}
    bounds = {*bounds, *_leaky(results)}
    rows: list[list[Cell]] = []
    ends = set()
    for level in AMBIGUITY_LEVELS:
        parts = {name: row.by_ambiguity[level] for name, row in results.items()}
        rows += _level_rows(level, parts, metrics, bounds=bounds)
        ends.add(len(rows) - 1)
    head = ["ambiguity (items)", "method", *(metric.label for metric in metrics)]
    meaning = "Ambiguity: normalised entropy of the votes in [0, .33), [.33, .66), [.66, 1]."
    return Grid(head, rows, meaning, names=2, sections=frozenset(ends))


def _level_rows(
    level: str,
    parts: Mapping[str, Part],
    metrics: Sequence[DistributionMetric],
    *,
    bounds: Collection[str],
) -> list[list[Cell]]:
    count = next(iter(parts.values())).items
    if not count:
        return []
    columns = [
        metric_column(
            metric, {name: part.metrics.get(metric.name) for name, part in parts.items()}, bounds=bounds
        )
        for metric in metrics
    ]
    headings = [f"{level} ({count})", *[""] * (len(parts) - 1)]
    return [
        [Cell(heading), Cell(name), *(column[name] for column in columns)]
        for heading, name in zip(headings, parts, strict=True)
    ]


def _leaky(results: Mapping[str, Results]) -> list[str]:
    """Rows on items that were trained on."""
    found = ((name, row.about.trained_items) for name, row in results.items())
    return [name for name, overlap in found if overlap is not None and overlap.is_leaky]


def check_comparable(results: Mapping[str, Results]) -> None:
    """InputError that names the first difference in corpus, split, readout, classes, items or votes, or that
    there is no result. A baseline has no readout and stands beside any; reasoning modes may differ, the
    caption says how.
    """
    if not results:
        raise InputError("there is no result to show", where="table")
    first_name, first = next(iter(results.items()))
    for name, other in results.items():
        for what, here, there in _identity(first, other):
            if here != there:
                raise _incomparable((first_name, name), what, (here, there))
    readouts = [(name, row.about.readout) for name, row in results.items() if row.about.readout != "none"]
    for name, readout in readouts:
        if readout != readouts[0][1]:
            raise _incomparable((readouts[0][0], name), "readout", (readouts[0][1], readout))


def _incomparable(names: tuple[str, str], what: str, values: tuple[object, object]) -> InputError:
    return InputError(
        f"{names[0]!r} and {names[1]!r} differ in {what}: {values[0]} and {values[1]}.",
        where="table",
        remedy="Only results of one readout on the same items can stand in one table.",
    )


def caption(results: Mapping[str, Results]) -> str:
    """Corpus, split, number of items, what was read after what, what was resampled, and each note with the rows
    that it is about."""
    check_comparable(results)
    first = next(iter(results.values()))
    about = first.about
    lines = [
        f"{about.corpus}, {about.part_of_corpus}, {first.items} items; {_readings(results)}; {uncertainty(first)}."
    ]
    shown = {metric.name for metric in _columns(results)}
    hidden = {metric.name for metric in all_metrics(2)} - shown
    concerned: dict[str, list[str]] = {}
    for name, row in results.items():
        for note in row.notes:
            # a note on a metric begins with its name
            if note != _too_few(row) and note.split()[0] not in hidden:
                concerned.setdefault(note, []).append(name)
    lines += [f"{', '.join(names)}: {note}." for note, names in concerned.items()]
    return "\n".join(lines)


def uncertainty(results: Results) -> str:
    """What the intervals are from, or why there are none; without a full stop."""
    reason = _too_few(results)
    if reason is None:
        units = f"{results.resampled_count} {results.resampled}"
        return f"{LEVEL:.0%} intervals from {results.resamples} bootstrap resamples of {units}"
    least = f"{FEWEST_ITEMS} items" if results.resampled_count != 1 else f"{FEWEST_SPEAKERS} speakers"
    return f"no intervals, which take at least {least}: {reason.removeprefix(NO_INTERVAL)}"


def _too_few(results: Results) -> str | None:
    """The note that all of a result's metrics lack an interval, if it has one."""
    return next((note for note in results.notes if note.startswith(NO_INTERVAL)), None)


def _identity(one: Results, other: Results) -> list[tuple[str, object, object]]:
    return [
        ("corpus", one.about.corpus, other.about.corpus),
        ("split", one.about.split, other.about.split),
        ("classes", ", ".join(one.categories), ", ".join(other.categories)),
        ("number of items", one.items, other.items),
        ("items or their votes (fingerprint)", one.items_digest, other.items_digest),
        ("what was resampled", one.resampled, other.resampled),
        ("resamples", one.resamples, other.resamples),
    ]


def _readings(results: Mapping[str, Results]) -> str:
    kinds: dict[str, list[str]] = {}
    for name, row in results.items():
        if row.about.readout != "none":
            kind = f"{row.about.readout} readout, {row.about.reasoning} reasoning"
            kinds.setdefault(kind, []).append(name)
    if len(kinds) <= 1:
        return next(iter(kinds), "no readout")
    return "; ".join(f"{kind} ({', '.join(names)})" for kind, names in kinds.items())


def _columns(results: Mapping[str, Results]) -> list[DistributionMetric]:
    first = next(iter(results.values()))
    found = {metric.name: metric for metric in all_metrics(len(first.categories))}
    return [found[name] for name in first.about.table_metrics]
