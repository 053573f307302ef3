"""Rows of GoEmotions: one rater's labels for one comment, grouped into seven classes while they are read."""

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import compress
from operator import itemgetter, or_
from pathlib import Path
from typing import NamedTuple

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import header_text, is_missing, name_text, open_table, whole_number
from lalm_ambig.files.json_lines import short_repr

EKMAN = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        "admiration",
        "amusement",
        "approval",
        "caring",
        "desire",
        "excitement",
        "gratitude",
        "joy",
        "love",
        "optimism",
        "pride",
        "relief",
    ),
    "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
    "surprise": ("confusion", "curiosity", "realization", "surprise"),
    "neutral": ("neutral",),
}
"""Class → its labels (SHALA-LLM, Table 4). Prompts describe the classes in their own words: see `prompts/`."""
CATEGORIES = CategorySet(tuple(EKMAN))
LABELS = tuple(label for labels in EKMAN.values() for label in labels)
"""The 28 columns of labels, class by class."""
CLASS_BITS = tuple(1 << position for position, labels in enumerate(EKMAN.values()) for _ in labels)
"""The bit of the class of each of LABELS, see `RaterRow.classes`."""
COLUMNS = ("text", "id", "rater_id", "example_very_unclear", *LABELS)
"""The columns that are read; a file may have them in any order, and others."""
UNCLEAR = {
    "True": True,
    "False": False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
    "1.0": True,
    "0.0": False,
}
AGGREGATED = (
    "this is the simplified form of GoEmotions: it has the labels that raters agreed on, not each rater's, "
    "so no distribution can be counted from it"
)


class RaterRow(NamedTuple):
    """One rater's labels for one comment."""

    where: str
    """File and line."""
    id: str
    text: str
    rater: str
    classes: int
    """Bit c is set where the rater gave a label of class c; 0 where the rater gave no label."""


class Cells(NamedTuple):
    """A row's values in the order of COLUMNS, as texts."""

    where: str
    values: Sequence[str]


def check_columns(columns: Sequence[str], *, where: str, remedy: str) -> None:
    """Check that a file has rater rows.

    Args:
        columns: Names in the file's header.
        where: Place for the error.
        remedy: How to obtain rater rows.

    Raises:
        InputError: A column is missing or comes twice, or the file has aggregated labels.
    """
    if "labels" in columns and "rater_id" not in columns:
        raise InputError(f"{AGGREGATED}.", where=where, remedy=remedy)
    for name in COLUMNS:
        if name not in columns:
            raise InputError(
                f"missing column {name!r}; the file has {header_text(columns) or 'none'}", where=where
            )
        if columns.count(name) > 1:
            raise InputError(f"column {name!r} stands there twice", where=where)


def read_csv(path: Path, *, bad_rows: BadRows, remedy: str) -> Iterator[Cells]:
    """Yield the rows of a CSV file, each with the line that it begins in; texts may hold line ends.

    Bytes that are not UTF-8 become halves of surrogate pairs, which `parse_row` refuses.

    Args:
        path: The file.
        bad_rows: Collects rows that are cut or not CSV.
        remedy: How to obtain rater rows.

    Raises:
        InputError: The header lacks a column.
    """
    with open_table(path, multi_line=True) as table:
        if table.has("labels") and not table.has("rater_id"):
            raise InputError(f"{AGGREGATED}.", where=str(path), remedy=remedy)
        chosen = itemgetter(*(table.position(name) for name in COLUMNS))
        for line, row in table.rows(bad_rows):
            yield Cells(f"{path}:{line}", chosen(row))


def parse_row(cells: Cells) -> RaterRow:
    """Parse a row's cells.

    A rater who gave no label has no class; most such raters marked the comment as very unclear.

    Raises:
        InputError: The row has both that mark and labels, a label other than 0 and 1, or an empty column. The message
            has no place.
    """
    text, name, rater, unclear, *labels = cells.values
    text, name, rater = text.strip(), name_text(name), name_text(rater)
    for column, value in (("text", text), ("id", name), ("rater_id", rater)):
        if not value:
            raise InputError(f"column {column!r} is empty")
        _check_unicode(value, column)
    if is_missing(rater) or is_missing(name):
        raise InputError(f"column {'rater_id' if is_missing(rater) else 'id'!r} is empty")
    is_unclear = UNCLEAR.get(unclear)
    if is_unclear is None and (is_unclear := UNCLEAR.get(unclear.strip().lower())) is None:
        raise InputError(f"column 'example_very_unclear' must be True or False, got {short_repr(unclear)}")
    chosen = [label == "1" for label in labels]
    if sum(chosen) + labels.count("0") != len(labels):
        chosen = [_label(column, value) for column, value in zip(LABELS, labels, strict=True)]
    if is_unclear and any(chosen):
        first = next(compress(LABELS, chosen))
        raise InputError(f"it is marked as very unclear and has a label, {first!r}")
    return RaterRow(cells.where, name, text, rater, reduce(or_, compress(CLASS_BITS, chosen), 0))


def _label(column: str, value: str) -> bool:
    """A label as other programs may have written it: `1.0`, with blanks."""
    number = whole_number(value)
    if number not in (0, 1):
        raise InputError(f"column {column!r} must be 0 or 1, got {short_repr(value)}")
    return number == 1


def _check_unicode(value: str, column: str) -> None:
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"column {column!r} is not Unicode text: {error.reason}") from error
