"""Rows of a JSON Lines corpus: parsed one at a time; bad ones stop the reading or are left out, as set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.categories import CategorySet
from lalm_ambig.corpora.bad_rows import BadRows
from lalm_ambig.corpora.json_objects import json_object, numbered_lines, shown
from lalm_ambig.errors import InputError
from lalm_ambig.items import SPLITS, Split

KEYS = ("id", "audio", "text", "votes", "rationale", "split", "speaker")
"""The keys of a row that mean something."""
TEXT_KEYS = ("audio", "text", "rationale", "speaker")
MOST_VOTES = 1_000_000
"""Votes that one class of one item may have: far more would leave the range in which sums are exact."""
FEWEST_VOTES = 1e-6
"""What the votes of an item must at least sum to: less is no vote once rounded to float32."""


@dataclass(frozen=True)
class Row:
    """One row as it stands in the file, its types checked."""

    where: str
    """File and line."""
    id: str
    votes: Mapping[str, float]
    """By class name; in [0, MOST_VOTES], their sum at least FEWEST_VOTES."""
    audio: str | None
    text: str | None
    rationale: str | None
    speaker: str | None
    split: Split | None
    ignored: tuple[str, ...]
    """Keys of the row that mean nothing here."""

    @property
    def group(self) -> str:
        """What must not be torn apart by a split: the speaker, or the item itself where none is known."""
        return f"item {self.id}" if self.speaker is None else f"speaker {self.speaker}"


def read_declaration(path: Path) -> CategorySet | None:
    """The classes that the first line declares, or None where it is an ordinary row.

    InputError for an empty file and for a first line that is no JSON object, also where bad rows are left
    out: it may be the declaration, and without it the classes would be others.
    """
    for where, line in numbered_lines(path):
        try:
            values = json_object(line)
            return _declared(values) if _is_declaration(values) else None
        except InputError as error:
            raise InputError(str(error), where=where) from error
    raise InputError("the file is empty", where=str(path))


def read_rows(path: Path, names: Sequence[str], *, bad_rows: BadRows) -> Iterator[Row]:
    """Every good row after the declaration, in the file's order.

    Args:
        path: The file.
        names: The classes that votes may name; none accepts every name.
        bad_rows: Told of each malformed row, unknown class and second row of an id.
    """
    lines_of_ids: dict[str, str] = {}
    for position, (where, line) in enumerate(numbered_lines(path)):
        try:
            values = json_object(line)
            if position == 0 and _is_declaration(values):
                continue
            row = parsed_row(values, where)
            _check_new(row, names, lines_of_ids)
        except InputError as error:
            bad_rows.add(str(error), where=where)
            continue
        lines_of_ids[row.id] = where.rpartition(":")[2]
        yield row


def _check_new(row: Row, names: Sequence[str], lines_of_ids: Mapping[str, str]) -> None:
    if row.id in lines_of_ids:
        raise InputError(f"id {shown(row.id)} was used before, in line {lines_of_ids[row.id]}")
    unknown = [name for name in row.votes if names and name not in names]
    if unknown:
        raise InputError(f"votes for unknown class {shown(unknown[0])}: expected {', '.join(names)}")


def _is_declaration(values: Mapping[str, Any]) -> bool:
    return "categories" in values and "votes" not in values


def _declared(values: Mapping[str, Any]) -> CategorySet:
    lists = {key: values.get(key, []) for key in ("categories", "verbalisers")}
    for key, names in lists.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f'"{key}" must be a list of texts')
    return CategorySet(tuple(lists["categories"]), tuple(lists["verbalisers"]))


def parsed_row(values: Mapping[str, Any], where: str) -> Row:
    """The row that an object stands for; InputError without a place where it is malformed."""
    if not isinstance(values.get("id"), str) or not values["id"].strip():
        raise InputError('a row needs an "id" that is a text')
    texts = {key: _text(values, key) for key in TEXT_KEYS}
    if texts["audio"] is None and texts["text"] is None:
        raise InputError(f'item {shown(values["id"])} has neither "audio" nor "text"')
    if "\0" in (texts["audio"] or ""):
        raise InputError(f'"audio" of item {shown(values["id"])} has a NUL, as no path may')
    split = values.get("split")
    if split is not None and split not in SPLITS:
        raise InputError(f'"split" must be one of {", ".join(SPLITS)}, got {shown(split)}')
    ignored = tuple(key for key in values if key not in KEYS)
    return Row(where=where, id=values["id"], votes=_votes(values), split=split, ignored=ignored, **texts)


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'"{key}" of item {shown(values["id"])} must be a text, got {shown(value)}')
    return value.strip()


def _votes(values: Mapping[str, Any]) -> dict[str, float]:
    votes = values.get("votes")
    item = f"item {shown(values['id'])}"
    if not isinstance(votes, dict):
        raise InputError(f'{item} needs "votes": an object of class and count')
    for name, count in votes.items():
        if not name.strip():
            raise InputError(f"{item} has votes for a class without a name")
        number = isinstance(count, int | float) and not isinstance(count, bool)
        if not number or not 0 <= count <= MOST_VOTES:
            limits = f"a number from 0 to {MOST_VOTES:,}"
            raise InputError(f"votes for {shown(name)} must be {limits}, got {shown(count)}")
    if sum(votes.values()) < FEWEST_VOTES:
        raise InputError(f"{item} has no votes: they sum to {sum(votes.values()):g}")
    return {name: float(count) for name, count in votes.items()}
