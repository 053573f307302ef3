"""Rows of a JSON Lines corpus, parsed one at a time; bad ones stop the reading or are left out."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet, normal_form, quoted
from lalm_ambig.core.class_names import UNKNOWN
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS, Split, id_text
from lalm_ambig.corpora.jsonl.ratings import (
    Ratings,
    check_votes,
    parse_profiles,
    parse_ratings,
    with_votes,
)
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.json_lines import (
    is_missing,
    json_object,
    number_hint,
    numbered_lines,
    short_repr,
    text_hint,
)

KEYS = ("id", "audio", "text", "votes", "rationale", "split", "speaker", "annotators")
"""The keys of a row that have a meaning."""
TEXT_KEYS = ("audio", "text", "rationale")
NAME_KEYS = ("id", "speaker")
"""The keys whose value may also be a whole number."""
DIGITS = re.compile(r"\s*-?\d+(\.0*)?\s*")
"""A text that another program may have made of a number."""
MOST_VOTES = 1_000_000
"""Most votes for one class of one item: far more would leave the range in which sums are exact."""
FEWEST_VOTES = 1e-6
"""Smallest sum of an item's votes: less is 0 once rounded to float32."""

Load = Callable[[], Mapping[str, Any]]
"""Parses a row, or raises InputError."""


class FileFault(InputError):
    """A fault that shows in one row and is the whole file's: rows are not left out for it."""


@dataclass(frozen=True)
class ItemRow:
    """One row of the file, its types checked."""

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
    numbers: frozenset[str]
    """Those of NAME_KEYS that are numbers in the file."""
    ignored: tuple[str, ...]
    """Keys of the row without a meaning."""
    ratings: Ratings = ()
    """Who chose what, where the row says it."""

    @property
    def group(self) -> str:
        """The unit that a split keeps together: the speaker, or the item where it has none."""
        return f"item {self.id}" if self.speaker is None else f"speaker {self.speaker}"


def read_declaration(path: Path) -> CategorySet | None:
    """Read the classes that the first line declares.

    Returns:
        The classes; None where the first line is an ordinary row.

    Raises:
        InputError: The file is empty, or the first line is not a JSON object. The latter is an error even where bad
            rows are left out: the line may be the declaration, and without it the classes would change.
    """
    for where, line in numbered_lines(path):
        try:
            values = json_object(line)
            return _declared(values) if _is_declaration(values) else None
        except InputError as error:
            raise InputError(str(error), where=where) from error
    raise InputError("the file is empty", where=str(path))


def read_profiles(path: Path) -> dict[str, str]:
    """Read what the first line says of annotators: name → profile; empty where it says nothing.

    Raises:
        InputError: It is malformed.
    """
    for where, line in numbered_lines(path):
        try:
            values = json_object(line)
            return parse_profiles(values) if _is_declaration(values) else {}
        except InputError as error:
            raise InputError(str(error), where=where) from error
    return {}


def read_rows(path: Path, names: Sequence[str], *, bad_rows: BadRows) -> Iterator[ItemRow]:
    """Yield every good row after the declaration, in the file's order, each class under one name.

    Args:
        path: The file.
        names: The classes that votes may name, in any form. If empty, every name is accepted, in its first form.
        bad_rows: Collects each malformed row, unknown class and second row of an id.

    Raises:
        InputError: Ids or speakers are numbers in some rows and texts of digits in others, so that nobody knows whether
            `1` and `"1"` are the same. This is an error even where bad rows are left out.
    """
    lines = ((where, partial(json_object, line)) for where, line in numbered_lines(path))
    return read_tables([(path, lines)], names, bad_rows=bad_rows)


def read_tables(
    tables: Iterable[tuple[Path, Iterable[tuple[str, Load]]]], names: Sequence[str], *, bad_rows: BadRows
) -> Iterator[ItemRow]:
    """Yield every good row of several files, as `read_rows` does for one; an id is unique among all of them.

    Args:
        tables: Each file with its rows: the place of one, and what parses it.
        names: As for `read_rows`.
        bad_rows: As for `read_rows`.

    Raises:
        InputError: As `read_rows`.
    """
    before = _Before({normal_form(name): name for name in names}, closed=bool(names))
    for path, rows in tables:
        with bad_rows.reading(path) as reading:
            for position, (where, load) in enumerate(rows):
                try:
                    values = load()
                    if position == 0 and _is_declaration(values):
                        continue
                    row = before.checked(parse_row(values, where))
                except FileFault as error:
                    raise InputError(str(error), where=where) from error
                except InputError as error:
                    bad_rows.add(str(error), where=where)
                    continue
                before.take(row)
                yield row
                reading.good += 1


class _Before:
    """The ids and names of the rows so far, against which the next row is checked."""

    def __init__(self, names_of_forms: dict[str, str], *, closed: bool) -> None:
        """Args:
        names_of_forms: Normal form → name of the class.
        closed: True where no other class is allowed.
        """
        self.names_of_forms, self.closed = names_of_forms, closed
        self.lines_of_ids: dict[str, tuple[str, bool]] = {}
        """Id → its line, and whether it is a number there."""
        self.spelt: dict[tuple[str, bool], str] = {}
        """Per key of NAME_KEYS: the first number (True) and the first text of digits (False), with its line."""

    def checked(self, row: ItemRow) -> ItemRow:
        """The row with each class under its name in this file.

        Raises:
            InputError: The id came before, or a class is unknown.
        """
        if (key := _id_key(row.id)) in self.lines_of_ids:
            line, number = self.lines_of_ids[key]
            other = number != ("id" in row.numbers)
            kinds = f", {_kind(number=number)} there and {_kind(number=not number)} here" if other else ""
            raise InputError(f"id {short_repr(row.id)} was used before, in line {line}{kinds}")
        votes = {self._name(name): count for name, count in row.votes.items()}
        ratings = tuple((annotator, self._name(chosen)) for annotator, chosen in row.ratings)
        check_votes(votes, ratings, item=row.id)
        same = votes.keys() == row.votes.keys() and ratings == row.ratings
        return row if same else replace(row, votes=votes, ratings=ratings)

    def _name(self, name: str) -> str:
        form = normal_form(name)
        if self.closed and form not in self.names_of_forms:
            expected = ", ".join(self.names_of_forms.values())
            raise InputError(f"votes for unknown class {short_repr(name)}: expected {expected}")
        return self.names_of_forms.get(form, name)

    def take(self, row: ItemRow) -> None:
        """Remember a good row.

        Raises:
            InputError: The row spells numbers in another way than an earlier row.
        """
        line = row.where.rpartition(":")[2]
        self.lines_of_ids[_id_key(row.id)] = line, "id" in row.numbers
        for name in row.votes:
            self.names_of_forms.setdefault(normal_form(name), name)
        for key, text in (("id", row.id), ("speaker", row.speaker)):
            number = key in row.numbers
            if text is None or not (number or DIGITS.fullmatch(text)):
                continue
            self.spelt.setdefault((key, number), f"{text if number else short_repr(text)} in line {line}")
            if (key, not number) in self.spelt:
                kinds = _kind(number=number), _kind(number=not number)
                other = self.spelt[key, not number]
                wrong = f'"{key}" is {kinds[0]} here, {short_repr(text)}, and {kinds[1]} before, {other}'
                raise InputError(f"{wrong}.", where=row.where, remedy="Write all of them in one way.")


def _id_key(item: str) -> str:
    """The common form of one id's spellings: `7.0` and `7`, two Unicode forms, blanks around it."""
    plain = item.strip()
    if DIGITS.fullmatch(plain):
        return plain.partition(".")[0]
    return plain if plain.isascii() else unicodedata.normalize("NFC", plain)


def _kind(*, number: bool) -> str:
    return "a number" if number else "a text"


def _is_declaration(values: Mapping[str, Any]) -> bool:
    if "votes" in values or "annotators" in values or "categories" in values:
        return "votes" not in values and "annotators" not in values
    for key in values:
        if key.strip().casefold() == "categories":
            raise InputError(f'write the key {short_repr(key)} as "categories"')
    return False


def _declared(values: Mapping[str, Any]) -> CategorySet:
    parse_profiles(values)
    lists = {key: values.get(key) or [] for key in ("categories", "verbalisers")}
    for key, names in lists.items():
        if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f'"{key}" must be a list of texts')
    domain = values.get("domain") or UNKNOWN
    if not isinstance(domain, str):
        raise InputError(f'"domain" must be a text, got {short_repr(domain)}')
    ordered = values.get("ordered", False)
    if not isinstance(ordered, bool):
        raise InputError(f'"ordered" must be true or false, got {short_repr(ordered)}')
    names, verbalisers = tuple(lists["categories"]), tuple(lists["verbalisers"])
    return CategorySet(names, verbalisers, domain=domain, ordered=ordered)


def parse_row(values: Mapping[str, Any], where: str) -> ItemRow:
    """Parse a row's object; its classes keep their names. Null, NaN and blank texts count as missing.

    Raises:
        InputError: The row is malformed; the message has no place.
    """
    names = {key: _name_text(values, key) for key in NAME_KEYS}
    item = names["id"]
    if item is None:
        raise InputError('a row needs an "id": a text or a whole number')
    texts = {key: _text(values, key, item=item) for key in TEXT_KEYS}
    if texts["audio"] is None and texts["text"] is None:
        raise InputError(f'item {short_repr(item)} has neither "audio" nor "text"')
    if "\0" in (texts["audio"] or ""):
        raise InputError(f'"audio" of item {short_repr(item)} has a NUL, as no path may')
    split: Any = None if _is_blank(values.get("split")) else values["split"]
    if split is not None and split not in SPLITS:
        raise InputError(f'"split" must be one of {", ".join(SPLITS)}, got {short_repr(split)}')
    speaker = names["speaker"]
    _check_keys(values)
    ratings = parse_ratings(values, item=item)
    return ItemRow(
        where=where,
        id=item,
        votes=_votes(with_votes(values, ratings), item=item),
        speaker=None if speaker is None else unicodedata.normalize("NFC", speaker.strip()),
        split=split,
        numbers=frozenset(key for key in NAME_KEYS if isinstance(values.get(key), int | float)),
        ignored=tuple(key for key in values if key not in KEYS),
        ratings=ratings,
        **texts,
    )


def _check_keys(values: Mapping[str, Any]) -> None:
    """Refuse a key that differs from one of KEYS in case or blanks only: to ignore it could change the split."""
    for key in values:
        plain = key.strip().casefold()
        if plain in KEYS and key != plain:
            raise InputError(f"write the key {short_repr(key)} as {json.dumps(plain)}")


def _is_blank(value: object) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def _name_text(values: Mapping[str, Any], key: str) -> str | None:
    """The text of a value that is a text or a whole number; None where it is missing."""
    value = values.get(key)
    if _is_blank(value):
        return None
    text = id_text(value)
    if text is None:
        wrong = f'"{key}" must be a text or a whole number, got {short_repr(value)}'
        raise InputError(wrong + text_hint(key, value))
    return text


def _text(values: Mapping[str, Any], key: str, *, item: str) -> str | None:
    value = values.get(key)
    if _is_blank(value):
        return None
    if not isinstance(value, str):
        wrong = f'"{key}" of item {short_repr(item)} must be a text, got {short_repr(value)}'
        raise InputError(wrong + text_hint(key, value))
    return value.strip()


def _votes(values: Mapping[str, Any], *, item: str) -> dict[str, float]:
    votes = values.get("votes")
    if not isinstance(votes, dict):
        got = "" if is_missing(votes) else f", got {short_repr(votes)}"
        raise InputError(f'item {short_repr(item)} needs "votes": an object of class and count{got}')
    forms: dict[str, str] = {}
    for name in votes:
        form = normal_form(name)
        if not form:
            raise InputError(f"item {short_repr(item)} has votes for a class without a name")
        if form in forms:
            raise InputError(
                f"item {short_repr(item)} has votes for one class twice: {quoted(forms[form], name)}"
            )
        forms[form] = name
    counts = {name: _count(name, count) for name, count in votes.items()}
    if sum(counts.values()) < FEWEST_VOTES:
        raise InputError(f"item {short_repr(item)} has no votes: they sum to {sum(counts.values()):g}")
    return counts


def _count(name: str, count: Any) -> float:
    """Votes of one class; 0 where they are missing."""
    if is_missing(count):
        return 0.0
    number = isinstance(count, int | float) and not isinstance(count, bool)
    if not number or not 0 <= count <= MOST_VOTES:
        limits = f"a number from 0 to {MOST_VOTES:,}"
        raise InputError(
            f"votes for {short_repr(name)} must be {limits}, got {short_repr(count)}{number_hint(count)}"
        )
    return float(count)
