"""Rows of a JSON Lines corpus, parsed one at a time; bad ones stop the reading or are left out."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from lalm_ambig.core.categories import normal_form, quoted
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS, Split, id_text
from lalm_ambig.corpora.jsonl.declaration import is_declaration
from lalm_ambig.corpora.jsonl.ratings import (
    Ratings,
    check_votes,
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
NAME_KEYS = ("id", "speaker")
"""The keys whose value may also be a whole number."""
NO_NUMBERS = frozenset[str]()
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


class ItemRow(NamedTuple):
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
                    if position == 0 and is_declaration(values):
                        continue
                    row, key = before.checked(parse_row(values, where))
                except FileFault as error:
                    raise InputError(str(error), where=where) from error
                except InputError as error:
                    bad_rows.add(str(error), where=where)
                    continue
                before.take(row, key)
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
        self.names = set(names_of_forms.values())
        """Names of the classes as this file has them: votes for them need no other name."""
        self.lines_of_ids: dict[str, str] = {}
        self.numbers: set[str] = set()
        """The ids that are numbers in the file."""
        self.spelt: dict[tuple[str, bool], str] = {}
        """Per key of NAME_KEYS: the first number (True) and the first text of digits (False), with its line."""

    def checked(self, row: ItemRow) -> tuple[ItemRow, str]:
        """The row with each class under its name in this file, and the common form of its id.

        Raises:
            InputError: The id came before, or a class is unknown.
        """
        key = _id_key(row.id)
        if (line := self.lines_of_ids.get(key)) is not None:
            number = key in self.numbers
            other = number != ("id" in row.numbers)
            kinds = f", {_kind(number=number)} there and {_kind(number=not number)} here" if other else ""
            raise InputError(f"id {short_repr(row.id)} was used before, in line {line}{kinds}")
        if row.ratings or not row.votes.keys() <= self.names:
            votes = {self._name(name): count for name, count in row.votes.items()}
            ratings = tuple((annotator, self._name(chosen)) for annotator, chosen in row.ratings)
            check_votes(votes, ratings, item=row.id)
            row = row._replace(votes=votes, ratings=ratings)
        return row, key

    def _name(self, name: str) -> str:
        form = normal_form(name)
        if self.closed and form not in self.names_of_forms:
            expected = ", ".join(self.names_of_forms.values())
            raise InputError(f"votes for unknown class {short_repr(name)}: expected {expected}")
        return self.names_of_forms.get(form, name)

    def take(self, row: ItemRow, key: str) -> None:
        """Remember a good row.

        Args:
            row: The row.
            key: The common form of its id.

        Raises:
            InputError: The row spells numbers in another way than an earlier row.
        """
        line = row.where.rpartition(":")[2]
        self.lines_of_ids[key] = line
        if "id" in row.numbers:
            self.numbers.add(key)
        if not row.votes.keys() <= self.names:
            for name in row.votes:
                self.names.add(self.names_of_forms.setdefault(normal_form(name), name))
        self._check_spelling("id", row.id, row)
        if row.speaker is not None:
            self._check_spelling("speaker", row.speaker, row)

    def _check_spelling(self, key: str, text: str, row: ItemRow) -> None:
        number = key in row.numbers
        if not number and not DIGITS.fullmatch(text):
            return
        line = row.where.rpartition(":")[2]
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


def parse_row(values: Mapping[str, Any], where: str) -> ItemRow:
    """Parse a row's object; its classes keep their names. Null, NaN and blank texts count as missing.

    Raises:
        InputError: The row is malformed; the message has no place.
    """
    item, speaker = (_name_text(values, key) for key in NAME_KEYS)
    if item is None:
        raise InputError('a row needs an "id": a text or a whole number')
    audio, text, rationale = (_text(values, key, item=item) for key in ("audio", "text", "rationale"))
    if audio is None and text is None:
        raise InputError(f'item {short_repr(item)} has neither "audio" nor "text"')
    if audio is not None and "\0" in audio:
        raise InputError(f'"audio" of item {short_repr(item)} has a NUL, as no path may')
    split = _split(values.get("split"))
    ignored = _ignored(tuple(values))
    ratings = parse_ratings(values, item=item)
    return ItemRow(
        where=where,
        id=item,
        votes=_votes(with_votes(values, ratings), item=item),
        audio=audio,
        text=text,
        rationale=rationale,
        speaker=None if speaker is None else unicodedata.normalize("NFC", speaker.strip()),
        split=split,
        numbers=_numbers(values),
        ignored=ignored,
        ratings=ratings,
    )


def _split(value: Any) -> Split | None:
    if value is None or value in SPLITS:
        return value  # type: ignore[no-any-return]
    if _is_blank(value):
        return None
    raise InputError(f'"split" must be one of {", ".join(SPLITS)}, got {short_repr(value)}')


@lru_cache(maxsize=1024)
def _ignored(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys without a meaning. Most rows of a file have the same keys, which are looked at once.

    Raises:
        InputError: A key differs from one of KEYS in case or blanks only: to ignore it could change the split.
    """
    for key in keys:
        plain = key.strip().casefold()
        if plain in KEYS and key != plain:
            raise InputError(f"write the key {short_repr(key)} as {json.dumps(plain)}")
    return tuple(key for key in keys if key not in KEYS)


def _numbers(values: Mapping[str, Any]) -> frozenset[str]:
    """Those of NAME_KEYS that are numbers in the file."""
    if isinstance(values["id"], str) and isinstance(values.get("speaker"), str | None):
        return NO_NUMBERS
    return frozenset(key for key in NAME_KEYS if isinstance(values.get(key), int | float))


def _is_blank(value: object) -> bool:
    return not value.strip() if isinstance(value, str) else is_missing(value)


def _name_text(values: Mapping[str, Any], key: str) -> str | None:
    """The text of a value that is a text or a whole number; None where it is missing."""
    value = values.get(key)
    if value is None or _is_blank(value):
        return None
    text = id_text(value)
    if text is None:
        wrong = f'"{key}" must be a text or a whole number, got {short_repr(value)}'
        raise InputError(wrong + text_hint(key, value))
    return text


def _text(values: Mapping[str, Any], key: str, *, item: str) -> str | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if is_missing(value):
        return None
    wrong = f'"{key}" of item {short_repr(item)} must be a text, got {short_repr(value)}'
    raise InputError(wrong + text_hint(key, value))


def _votes(values: Mapping[str, Any], *, item: str) -> dict[str, float]:
    votes = values.get("votes")
    if not isinstance(votes, dict):
        got = "" if is_missing(votes) else f", got {short_repr(votes)}"
        raise InputError(f'item {short_repr(item)} needs "votes": an object of class and count{got}')
    if wrong := _fault_of_names(tuple(votes)):
        raise InputError(f"item {short_repr(item)} has votes for {wrong}")
    counts = {name: _count(name, count) for name, count in votes.items()}
    if sum(counts.values()) < FEWEST_VOTES:
        raise InputError(f"item {short_repr(item)} has no votes: they sum to {sum(counts.values()):g}")
    return counts


@lru_cache(maxsize=1024)
def _fault_of_names(names: tuple[str, ...]) -> str:
    """The fault of one object's names of classes; empty where there is none."""
    forms: dict[str, str] = {}
    for name in names:
        form = normal_form(name)
        if not form:
            return "a class without a name"
        if form in forms:
            return f"one class twice: {quoted(forms[form], name)}"
        forms[form] = name
    return ""


def _count(name: str, count: Any) -> float:
    """Votes of one class; 0 where they are missing."""
    if isinstance(count, int | float) and not isinstance(count, bool) and 0 <= count <= MOST_VOTES:
        return float(count)
    if is_missing(count):
        return 0.0
    limits = f"a number from 0 to {MOST_VOTES:,}"
    raise InputError(
        f"votes for {short_repr(name)} must be {limits}, got {short_repr(count)}{number_hint(count)}"
    )
