"""Class mass, form and length of responses: what tables say of a policy's answers beside their scores.

The scores are of the class names' probabilities relative to each other. These numbers say whether the policy would have
named a class at all, and in which form.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from lalm_ambig.evaluation.about import SAMPLED
from lalm_ambig.evaluation.overlap import marked_name
from lalm_ambig.evaluation.results import Results
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

UNREAD = "an answer that cannot be read counts as worse than any other"
"""What tables of a choice say of `choosing_value`."""
ResponseValues = Mapping[str, float | None]
"""Key of a column → its value; None where it is not known."""
COLUMNS = {
    "class_mass": (
        Column("class_mass", "class mass"),
        "Class mass: share of the next-token probability on the class names where the answer starts.",
    ),
    "well_formed": (
        Column("well_formed", "well formed"),
        "Well formed: share of responses that keep the prescribed form to the closing tag.",
    ),
    "tokens": (Column("tokens", "tokens"), "Tokens: mean length of a response."),
    "named": (Column("named", "named"), "Named: share of one-label answers that name a class."),
    "charged": (
        Column("charged", "charged"),
        "Charged: tokens of prompts and answers that an endpoint has counted, of all items.",
    ),
    "cost_usd": (Column("cost_usd", "USD"), "USD: what they cost, in US dollars."),
}
"""Key → column, and the line of a caption that says what it is."""
SMALL = 0.001
"""Shares below it are written as powers of ten."""


def choosing_value(value: float, parsed: float | None) -> float:
    """By what checkpoints and settings are chosen: the JS divergence, and 1 more for an answer that cannot be read.

    Metrics take such an answer for the uniform distribution, which a policy that learns to answer in words does not
    beat at first. The JS divergence in bits is at most 1, so that here it is worse than any other answer.

    Args:
        value: The mean JS divergence in bits.
        parsed: Share of the responses that could be read; None for a readout of logits.

    Returns:
        The lowest is the best; infinite for NaN.

    >>> choosing_value(0.4, None), choosing_value(0.25, 0.75), choosing_value(math.nan, 1.0)
    (0.4, 0.5, inf)
    """
    chosen_by = value + (0.0 if parsed is None else 1 - parsed)
    return math.inf if math.isnan(chosen_by) else chosen_by


def response_values(results: Results) -> ResponseValues:
    """The values of a result, by key of the column."""
    return {
        "class_mass": results.class_mass,
        "well_formed": results.well_formed,
        "tokens": results.tokens,
        "named": results.parse_rate if results.about.readout == SAMPLED else None,
        "charged": None if (n := results.about.tokens_charged) is None else float(n),
        "cost_usd": results.about.cost_usd,
    }


def response_columns(rows: Iterable[ResponseValues]) -> tuple[Column, ...]:
    """The columns that some row fills."""
    filled = {key for row in rows for key, value in row.items() if value is not None}
    return tuple(column for key, (column, _) in COLUMNS.items() if key in filled)


def response_cells(values: ResponseValues, columns: Sequence[Column]) -> tuple[Cell, ...]:
    """Shares in per cent, lengths with one decimal, and gaps for what is not known."""
    return tuple(_cell(column.key, values.get(column.key)) for column in columns)


def response_meanings(columns: Sequence[Column]) -> list[str]:
    """A line for each of these columns that is about responses."""
    return [COLUMNS[column.key][1] for column in columns if column.key in COLUMNS]


def _cell(key: str, value: float | None) -> Cell:
    if value is None:
        return Cell()
    if key == "tokens":
        return Cell(value, text=f"{value:.1f}")
    if key in ("charged", "cost_usd"):
        return Cell(value, text=f"{value:,.0f}" if key == "charged" else f"{value:.4f}")
    return Cell(value, text=f"{value:.1%}" if value >= SMALL or not value else f"{value:.1e}")


def responses_table(rows: Mapping[str, ResponseValues], *, head: str) -> ResultTable | None:
    """A row for each policy; None where nothing is known of any.

    Args:
        rows: Name → values. Those without any, such as baselines, are left out.
        head: Head of the names' column.
    """
    columns = response_columns(rows.values())
    if not columns:
        return None
    shown = tuple(
        TableRow((name,), response_cells(values, columns))
        for name, values in rows.items()
        if any(values.get(column.key) is not None for column in columns)
    )
    return ResultTable((head,), columns, shown, tuple(response_meanings(columns)))


def responses_of(results: Mapping[str, Results]) -> ResultTable | None:
    """The table of several results, by name of the row."""
    rows = {marked_name(n, r.about.trained_items): response_values(r) for n, r in results.items()}
    return responses_table(rows, head="responses")
