"""Tables of several results, side by side; only results that may be compared.

Columns are the `table_metrics` of the corpus: those of ambiguity-aware LALM or of SHALA-LLM, whichever paper has it. A
second table shows the first two of them by ambiguity level: a divergence and the overlap.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.about import PROMPTED, SAMPLED
from lalm_ambig.evaluation.breakdowns import Part
from lalm_ambig.evaluation.intervals import FEWEST_ITEMS, NO_INTERVAL, Interval, can_mark
from lalm_ambig.evaluation.overlap import marked_name
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.spread import FEWEST_GROUPS, LEVEL
from lalm_ambig.metrics.base import formulas
from lalm_ambig.metrics.correlations import R2PearsonItem
from lalm_ambig.tabular.model import BEST, Cell, Column, ResultTable, TableRow, ranked

LEVEL_METRICS = 2
"""How many of the columns the table by ambiguity level has."""
OLDER_INTERVALS = (
    "intervals of an older version, too narrow with few speakers; evaluate again for those of today"
)
PARSED = Column("parse_rate", "parsed")
"""The share of sampled labels that name a class is in the table of responses instead."""


def metric_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """A column for each metric of those names, in that order."""
    metrics = {metric.name: metric for metric in formulas(2)}
    chosen = (metrics[name] for name in names)
    return tuple(Column(m.name, m.label, m.higher_is_better) for m in chosen)


def interval_cell(interval: Interval | None) -> Cell:
    """A value with its interval; a gap for None."""
    return Cell() if interval is None else Cell(interval.value, interval.low, interval.high)


def parse_rate_cell(rate: float | None) -> Cell:
    """A share of responses in per cent; a gap for None."""
    return Cell() if rate is None else Cell(rate, text=f"{rate:.1%}")


def main_table(results: Mapping[str, Results], *, bounds: Collection[str] = ()) -> ResultTable:
    """A row per result with the metrics of the corpus's tables, and a caption on corpus, split, items and readouts.

    Columns are those of the first result. Results from before a corpus had columns of its own hold the values, too.

    Args:
        results: Name of the row → results.
        bounds: Rows that say what is possible. They are never marked as the best, nor are results on items that were
            trained on.

    Raises:
        InputError: The results are not on the same items; see `check_comparable`.
    """
    check_comparable(results)
    columns = metric_columns(table_metrics(results))
    rows = [
        TableRow(
            (marked_name(name, result.about.trained_items),),
            tuple(interval_cell(result.metrics[column.key]) for column in columns),
        )
        for name, result in results.items()
    ]
    rows = ranked(rows, columns, among=competing(results, bounds), ranking=BEST)
    parse_rates = [None if r.about.readout == SAMPLED else r.parse_rate for r in results.values()]
    if any(rate is not None for rate in parse_rates):
        columns = (*columns, PARSED)
        rates = map(parse_rate_cell, parse_rates)
        rows = [replace(row, cells=(*row.cells, rate)) for row, rate in zip(rows, rates, strict=True)]
    return ResultTable(("method",), columns, tuple(rows), tuple(caption(results).splitlines()))


def ambiguity_table(results: Mapping[str, Results], *, bounds: Collection[str] = ()) -> ResultTable:
    """The rows of `main_table` for each ambiguity level that has items, with the best of a level marked.

    Args:
        results: Name of the row → results.
        bounds: Rows that are never marked.

    Raises:
        InputError: The results are not on the same items; see `check_comparable`.
    """
    check_comparable(results)
    columns = metric_columns(table_metrics(results)[:LEVEL_METRICS])
    among = competing(results, bounds)
    rows: list[TableRow] = []
    ends = set()
    for level in AMBIGUITY_LEVELS:
        parts = {marked_name(n, r.about.trained_items): r.by_ambiguity[level] for n, r in results.items()}
        level_rows = _level_rows(level, parts, columns)  # none for a level without items
        rows += ranked(level_rows, columns, among=among if level_rows else [], ranking=BEST)
        ends.add(len(rows) - 1)
    meaning = "Ambiguity: normalised entropy of the votes in [0, .33), [.33, .66), [.66, 1]."
    return ResultTable(("ambiguity (items)", "method"), columns, tuple(rows), (meaning,), frozenset(ends))


def _level_rows(level: str, parts: Mapping[str, Part], columns: Sequence[Column]) -> list[TableRow]:
    count = next(iter(parts.values())).items
    if not count:
        return []
    headings = [f"{level} ({count})", *[""] * (len(parts) - 1)]
    return [
        TableRow((heading, name), tuple(interval_cell(part.metrics.get(column.key)) for column in columns))
        for heading, (name, part) in zip(headings, parts.items(), strict=True)
    ]


def competing(results: Mapping[str, Results], bounds: Collection[str]) -> list[int]:
    """Numbers of the rows that can be the best: of several, those that are neither bounds nor on trained items.

    Args:
        results: Name of the row → results.
        bounds: Rows that say what is possible.
    """
    first = next(iter(results.values()))
    if len(results) == 1 or not can_mark(first.clusters, first.n_clusters):
        return []
    excluded = {*bounds, *_leaky(results)}
    return [number for number, name in enumerate(results) if name not in excluded]


def _leaky(results: Mapping[str, Results]) -> list[str]:
    """Rows on items that were trained on."""
    overlaps = ((name, row.about.trained_items) for name, row in results.items())
    return [name for name, overlap in overlaps if overlap is not None and overlap.is_leaky]


def check_comparable(results: Mapping[str, Results]) -> None:
    """Refuse results that cannot be in one table.

    A baseline has no readout and can be beside any. The readouts `logits` and `sampled` have one prompt and can be side
    by side. Reasoning modes may differ; the caption says how.

    Raises:
        InputError: There is no result, or two differ in corpus, split, readout, classes, items or votes. The message
            names the first difference.
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
        if PROMPTED.get(readout, readout) != PROMPTED.get(readouts[0][1], readouts[0][1]):
            raise _incomparable((readouts[0][0], name), "readout", (readouts[0][1], readout))


def _incomparable(names: tuple[str, str], what: str, values: tuple[object, object]) -> InputError:
    return InputError(
        f"{names[0]!r} and {names[1]!r} differ in {what}: {values[0]} and {values[1]}.",
        where="table",
        remedy="Only results of one readout on the same items can stand in one table.",
    )


def caption(results: Mapping[str, Results]) -> str:
    """Corpus, split, number of items, readouts, what intervals are over, and each note with its rows."""
    check_comparable(results)
    first = next(iter(results.values()))
    about = first.about
    lines = [
        f"{about.corpus_and_part}, {about.part_of_corpus}, {_counted(first)}; {_readings(results)}; "
        f"{uncertainty(first)}."
    ]
    shown = set(table_metrics(results))
    hidden = {metric.name for metric in formulas(2)} - shown
    concerned: dict[str, list[str]] = {}
    for name, row in results.items():
        for note in row.notes:
            # a note on a metric begins with its name
            if note != _too_few(row) and note.split()[0] not in hidden:
                concerned.setdefault(note, []).append(name)
    lines += [f"{', '.join(names)}: {note}." for note, names in concerned.items()]
    if older := [name for name, row in results.items() if row.intervals != "jackknife"]:
        lines.append(f"{', '.join(older)}: {OLDER_INTERVALS}.")
    return "\n".join(lines)


def _counted(results: Results) -> str:
    """Number of items, or of ratings where each is answered for alone."""
    if (scores := results.annotators) is None:
        return f"{results.items} items"
    return f"{results.items} ratings of {scores.items} items by {scores.annotators} annotators"


def uncertainty(results: Results) -> str:
    """How the intervals were computed, or why there are none; without a full stop."""
    reason = _too_few(results)
    if reason is None:
        return f"{LEVEL:.0%} intervals over {results.n_clusters} {results.clusters}"
    least = f"{FEWEST_ITEMS} items" if results.n_clusters != 1 else f"{FEWEST_GROUPS} {results.clusters}"
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
        ("what intervals are over", one.clusters, other.clusters),
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


def table_metrics(results: Mapping[str, Results]) -> tuple[str, ...]:
    """The metrics of the corpus's tables, as the first result names them.

    Two class vectors of two classes lie on a line, so their correlation says nothing: it has no column then.

    Args:
        results: Name of the row → results.
    """
    first = next(iter(results.values()))
    two_classes = len(first.categories) == 2
    return tuple(
        name for name in first.about.table_metrics if not (two_classes and name == R2PearsonItem.name)
    )
