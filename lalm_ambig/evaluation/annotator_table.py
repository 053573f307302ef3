"""The table of answers for single annotators: their errors, and the score of what they make together."""

from collections.abc import Collection, Iterator, Mapping

from lalm_ambig.evaluation.annotator_scores import AnnotatorScores
from lalm_ambig.evaluation.overlap import marked_name
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.table import (
    ambiguity_table,
    competing,
    interval_cell,
    main_table,
    metric_columns,
    table_metrics,
)
from lalm_ambig.metrics.annotators import ErrorKind
from lalm_ambig.tabular.model import BEST, Cell, Column, ResultTable, TableRow, ranked

ERRORS: Mapping[ErrorKind, tuple[str, str]] = {
    "rate": ("Error rate ↓", "share of an item's annotators whose choice is missed"),
    "labels": ("Error rate ↓", "share of an item's annotators and labels for which yes or no is missed"),
    "distance": (
        "Norm. distance ↓",
        "steps between choice and answer, the median, over the steps of the scale",
    ),
}
"""Head and meaning of each error."""
MOST_FREQUENT = "annotator_most_frequent"
"""Row of each annotator's most frequent class in the training split."""
TOGETHER = 3
"""Metrics of the items' distributions that are shown."""


def result_tables(
    results: Mapping[str, Results], *, bounds: Collection[str] = ()
) -> tuple[ResultTable, ResultTable]:
    """The table of results, and below it that by ambiguity level, or of answers for annotators the one of these.

    A single annotator's choice has no ambiguity.

    Args:
        results: Name of the row → results.
        bounds: Rows that say what is possible. They are never marked as the best.

    Raises:
        InputError: The results are not on the same items.
    """
    main, of_annotators = main_table(results, bounds=bounds), annotator_table(results, bounds=bounds)
    return main, of_annotators or ambiguity_table(results, bounds=bounds)


def annotator_table(results: Mapping[str, Results], *, bounds: Collection[str] = ()) -> ResultTable | None:
    """A row per result on single annotators; None where there is none.

    Args:
        results: Name of the row → results, on the same ratings.
        bounds: Rows that are never marked as the best.
    """
    scores = {name: row.annotators for name, row in results.items() if row.annotators is not None}
    if not scores:
        return None
    first = next(iter(scores.values()))
    head, meaning = ERRORS[first.error_kind]
    shown = [name for name in table_metrics(results) if name in first.together]
    columns = (
        Column("error", head, higher_is_better=False),
        Column("accuracy", "Acc. by rating ↑", higher_is_better=True),
        Column("accuracy_by_annotator", "Acc. by annotator ↑", higher_is_better=True),
        *metric_columns(shown[:TOGETHER]),
    )
    rows = [
        TableRow((marked_name(name, results[name].about.trained_items),), _cells(row, shown[:TOGETHER]))
        for name, row in scores.items()
    ]
    among = competing({name: results[name] for name in scores}, bounds)
    caption = (
        f"Answers for single annotators: {first.annotators} of them, {first.items} items. {head[:-2]}: {meaning}, as a "
        "mean over items.",
        "Columns from the fourth on: the mean of an item's answers against the votes of its annotators.",
    )
    caption = (*(caption if shown else caption[:1]), *_beaten(results))
    ranked_rows = tuple(ranked(rows, columns, among=among, ranking=BEST))
    return ResultTable(("method",), columns, ranked_rows, caption)


def _beaten(results: Mapping[str, Results]) -> Iterator[str]:
    """A line for each policy: whether it beats the most frequent class of each annotator, and by how much."""
    row = results.get(MOST_FREQUENT)
    if row is None or row.annotators is None:
        return
    for name, other in results.items():
        if other.annotators is None or other.about.readout == "none":
            continue
        ahead = other.annotators.error_less(row.annotators)
        if ahead is None:
            continue
        shown = ""
        if ahead.low is not None and ahead.high is not None:
            shown = f" ({ahead.low:+.3f} to {ahead.high:+.3f}, paired)"
            shown += "" if ahead.low > 0 or ahead.high < 0 else "; the interval holds 0"
        how = "lower" if ahead.value > 0 else "not lower"
        yield f"{name}: its error is {how} than that of {MOST_FREQUENT}, by {ahead.value:+.3f}{shown}."


def _cells(scores: AnnotatorScores, shown: Collection[str]) -> tuple[Cell, ...]:
    values = (scores.error, scores.accuracy, scores.accuracy_by_annotator)
    return tuple(map(interval_cell, (*values, *(scores.together.get(name) for name in shown))))
