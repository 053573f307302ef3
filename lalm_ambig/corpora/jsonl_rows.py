"""Rows of a JSON Lines corpus: parsed one at a time, each error with file and line."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.categories import CategorySet
from lalm_ambig.errors import InputError
from lalm_ambig.items import SPLITS, Split

KEYS = ("id", "audio", "text", "votes", "rationale", "split", "speaker")
"""The keys of a row that mean something."""
TEXT_KEYS = ("audio", "text", "rationale", "speaker")


@dataclass(frozen=True)
class Row:
    """One row as it stands in the file, its types checked."""

    where: str
    """File and line."""
    id: str
    votes: Mapping[str, float]
    """By class name; finite, not negative, at least one above 0."""
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
    """The classes that the first line declares, or None where it is an ordinary row."""
    for where, values in _objects(path):
        return _declared(values, where) if _is_declaration(values) else None
    raise InputError("the file is empty", where=str(path))


def read_rows(path: Path) -> Iterator[Row]:
    """Every row after the declaration; InputError with file and line for the first that is malformed."""
    first = True
    for where, values in _objects(path):
        if not (first and _is_declaration(values)):
            yield _row(values, where)
        first = False


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                values = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"not JSON: {error.msg} at column {error.colno}", where=where) from error
            if not isinstance(values, dict):
                raise InputError(f"a row must be a JSON object, got {type(values).__name__}", where=where)
            yield where, values


def _is_declaration(values: Mapping[str, Any]) -> bool:
    return "categories" in values and "votes" not in values


def _declared(values: Mapping[str, Any], where: str) -> CategorySet:
    lists = {key: values.get(key, []) for key in ("categories", "verbalisers")}
    for key, names in lists.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f'"{key}" must be a list of texts', where=where)
    try:
        return CategorySet(tuple(lists["categories"]), tuple(lists["verbalisers"]))
    except InputError as error:
        raise InputError(str(error), where=where) from error


def _row(values: Mapping[str, Any], where: str) -> Row:
    if not isinstance(values.get("id"), str) or not values["id"].strip():
        raise InputError('a row needs an "id" that is a text', where=where)
    texts = {key: _text(values, key, where=where) for key in TEXT_KEYS}
    if texts["audio"] is None and texts["text"] is None:
        raise InputError(f'item {values["id"]} has neither "audio" nor "text"', where=where)
    split = values.get("split")
    if split is not None and split not in SPLITS:
        raise InputError(f'"split" must be one of {", ".join(SPLITS)}, got {split!r}', where=where)
    ignored = tuple(key for key in values if key not in KEYS)
    votes = _votes(values, where)
    return Row(where=where, id=values["id"], votes=votes, split=split, ignored=ignored, **texts)


def _text(values: Mapping[str, Any], key: str, *, where: str) -> str | None:
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'"{key}" of item {values["id"]} must be a text, got {value!r}', where=where)
    return value.strip()


def _votes(values: Mapping[str, Any], where: str) -> dict[str, float]:
    votes = values.get("votes")
    if not isinstance(votes, dict):
        raise InputError(f'item {values["id"]} needs "votes": an object of class and count', where=where)
    for name, count in votes.items():
        number = isinstance(count, int | float) and not isinstance(count, bool)
        if not number or not math.isfinite(count) or count < 0:
            raise InputError(f"votes for {name!r} must be a number from 0 up, got {count!r}", where=where)
    if not any(votes.values()):
        raise InputError(f"item {values['id']} has no votes: all are 0", where=where)
    return {name: float(count) for name, count in votes.items()}
