"""The option `columns` of JSON Lines: which columns of a table of somebody else's hold id, text, sound and votes.

A mapped row has the keys of the format (`rows.KEYS`), so that everything after it is checked alike. The votes of an
item may be

- an object of class and count: `votes: label_counts`;
- a column of counts per class: `votes: {anger: n_angry, joy: n_happy}`, or `votes: [anger, joy]` where the columns are
  called like the classes;
- the annotators' labels, a list or a text with commas: `votes: annotations`, or `annotations.label` where each is an
  object;
- counts in the order of the option `categories`: with `votes_as: counts`.

A list of numbers may be counts or labels: `votes_as` says which, unless the file itself names its classes.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import id_text
from lalm_ambig.corpora.jsonl.rows import FileFault
from lalm_ambig.corpora.jsonl.table_rows import RawRow, TableFile
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.json_lines import is_missing, json_value, short_repr

PLACE = re.compile(r"\{([^{}]+)\}")
NUMBER = re.compile(r"\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\s*", re.ASCII)
SPLIT_NAMES = {"dev": "validation", "valid": "validation", "val": "validation", "eval": "validation"}
"""Other names of a split."""


@dataclass(frozen=True)
class Columns:
    """Where a table holds what. A key that is not given is the column of that name, if there is one.

    Raises:
        InputError: A setting contradicts another.
    """

    id: str | None = None
    """Column of the ids. Without one an id is the file's name and the row's number."""
    text: str | None = None
    """Column of the text; or a template with columns in braces, as `Premise: {premise} Hypothesis: {hypothesis}`."""
    audio: str | None = None
    """Column of the sound: a path relative to the file's folder, or the sound itself, as parquet files hold it."""
    votes: str | list[str] | dict[str, str] | None = None
    """Column of the votes; or one column per class: a list of columns, or class: column."""
    votes_as: Literal["auto", "counts", "labels"] = "auto"
    """What a list in that column is: one count per class of `categories`, or one label per annotator."""
    names: dict[str, str] | None = None
    """Label in the file: name of the class, such as `{"0": neutral, "1": offensive}`. Others are then refused."""
    speaker: str | None = None
    """Column of the speaker, or of whatever no two splits may share."""
    split: str | None = None
    """Column of the split: train, validation (or dev) and test."""
    rationale: str | None = None
    """Column of the reasoning."""

    def __post_init__(self) -> None:
        if self.votes_as == "counts" and not isinstance(self.votes, str | None):
            wrong = "votes_as is about one column, and votes names one per class"
            raise InputError(wrong, where="columns", remedy="Leave votes_as out.")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that differ from the defaults."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, "auto")}


def columns_of(given: Any) -> Columns | None:
    """Make the option of what a command line or a file holds.

    Args:
        given: An object of key and column; `Columns` and None stay.

    Raises:
        InputError: A key is unknown, or a value is of another kind.
    """
    if given is None or isinstance(given, Columns):
        return given
    known = [field.name for field in fields(Columns)]
    if not isinstance(given, Mapping):
        raise InputError(f"expected KEY: COLUMN, got {short_repr(given)}", where="columns")
    for key, value in given.items():
        if key not in known:
            raise InputError(f"unknown key {key!r}: expected one of {', '.join(known)}", where="columns")
        kinds: tuple[type, ...] = {"votes": (str, list, dict), "names": (dict,)}.get(key, (str,))
        if value is not None and not isinstance(value, kinds):
            raise InputError(f"{key}: got {short_repr(value)}", where="columns", remedy=_form(key))
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for one in inner:
            if not isinstance(one, str):
                raise InputError(f"{key}: {short_repr(one)} is no text", where="columns", remedy=_form(key))
    if given.get("votes_as", "auto") not in ("auto", "counts", "labels"):
        raise InputError(f"votes_as: got {given['votes_as']!r}", where="columns", remedy=_form("votes_as"))
    as_texts: dict[str, Any] = {
        key: {str(name): one for name, one in value.items()} if isinstance(value, dict) else value
        for key, value in given.items()
    }  # YAML has numbers as names
    return Columns(**as_texts)


def _form(key: str) -> str:
    forms = {
        "votes": "Give a column, a list of columns, or an object of class and column.",
        "names": 'Give an object of label and class, as an option in JSON: {"0": "neutral", "1": "offensive"}.',
        "votes_as": "Write counts, labels or auto.",
    }
    return forms.get(key, "Give the name of a column.")


class RowMapper:
    """Makes rows of the format from rows of a table."""

    def __init__(self, columns: Columns, categories: Sequence[str]) -> None:
        """Args:
        columns: Where the table holds what.
        categories: The classes in order, for lists of counts; empty where they are not known.
        """
        self.columns, self.categories = columns, categories
        names = columns.names
        self.names = (
            None if names is None else {str(label): name for label, name in names.items()}
        )  # YAML has numbers
        self._single: set[str] = set()
        """Ids of the rows with a single vote."""

    def mapped(self, row: RawRow) -> dict[str, Any]:
        """The row with the keys of the format.

        Raises:
            InputError: A column is missing, or the votes are not understood; the message has no place.
        """
        values: dict[str, Any] = {"id": self._plain(row, "id"), "votes": self._votes(row)}
        if values["id"] is None and self.columns.id is None:
            values["id"] = row.name
        values["speaker"], values["rationale"] = self._plain(row, "speaker"), self._plain(row, "rationale")
        split = self._plain(row, "split") if row.split is None or self.columns.split else row.split
        if isinstance(split, str):
            split = SPLIT_NAMES.get(split.strip().lower(), split.strip().lower())
        values["split"] = split
        values["text"], values["audio"] = self._text(row), self._audio(row)
        self._check_one_row_an_item(values)
        return values

    def _check_one_row_an_item(self, values: Mapping[str, Any]) -> None:
        """Refuse a table with one row per vote: to leave its later rows out would lose votes."""
        votes, item = values["votes"], str(values["id"])
        if len(votes) != 1 or [*votes.values()] != [1]:
            return
        if item in self._single:
            wrong = f"id {short_repr(item)} comes again with one more vote: a table with one row per vote is not read."
            raise FileFault(
                wrong, remedy="Count the votes of each item first (in pandas: groupby and value_counts)."
            )
        self._single.add(item)

    def _plain(self, row: RawRow, key: str) -> Any:
        column = getattr(self.columns, key)
        if column is None:
            _check_spelling(row, key)
            return row.cells.get(key)
        return cell(row, column)

    def _text(self, row: RawRow) -> Any:
        template = self.columns.text
        if template is None or template in row.cells or not PLACE.search(template):
            return self._plain(row, "text")
        return PLACE.sub(lambda match: _filled(row, match[1]), template)

    def _audio(self, row: RawRow) -> Any:
        column = self.columns.audio or "audio"
        if column in row.clips:
            return row.clips[column]
        value = self._plain(row, "audio")
        return value.get("path") if isinstance(value, dict) else value

    def _votes(self, row: RawRow) -> dict[str, Any]:
        votes = self.columns.votes
        if votes is None and "votes" not in row.cells:
            _check_spelling(row, "votes")
            wrong = (
                f"no column votes; the file has {_listed(row)}: say with columns.votes which hold the votes"
            )
            raise InputError(f"{wrong} (docs/guides/hub_data.md)")
        if isinstance(votes, str) and votes not in row.cells and "," in votes:
            votes = [name.strip() for name in votes.split(",")]
        if isinstance(votes, list):
            votes = {name: name for name in votes}
        if isinstance(votes, dict):
            return self._renamed({str(name): _number(cell(row, column)) for name, column in votes.items()})
        column = votes or "votes"
        value = _parsed(cell(row, column), column)
        if isinstance(value, dict) and self.columns.votes_as != "labels":
            return self._renamed({str(name): _number(count) for name, count in value.items()})
        if isinstance(value, list) and self.columns.votes_as == "counts":
            return self._in_order(value, row.label_names.get(column, ()))
        labels = self._labels(value, column, row.label_names.get(column, ()))
        return {} if labels is None else self._renamed(dict(Counter(labels)))

    def _in_order(self, counts: list[Any], label_names: Sequence[str]) -> dict[str, Any]:
        names = label_names or self.categories
        if not names:
            wrong = "counts without names: the option categories says which classes they are, in order"
            raise InputError(wrong)
        if len(counts) != len(names):
            raise InputError(f"{len(counts)} counts for {len(names)} classes: {', '.join(names)}")
        return {name: _number(count) for name, count in zip(names, counts, strict=True)}

    def _labels(self, value: Any, column: str, label_names: Sequence[str]) -> list[str] | None:
        """The label of each annotator; None where there is no value."""
        if is_missing(value):
            return None
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, str):
            value = [part for part in value.split(",") if part.strip()]
        listed = value if isinstance(value, list) else [value]
        return [self._label(one, column, label_names) for one in listed if not is_missing(one)]

    def _label(self, value: Any, column: str, label_names: Sequence[str]) -> str:
        if isinstance(value, str):
            return value.strip()
        is_fraction = isinstance(value, float) and math.isfinite(value)
        text = id_text(value) or (repr(value) if is_fraction else None)
        if text is None:
            raise InputError(f"column {column!r} holds {short_repr(value)} where a label should be")
        if label_names:
            if not text.isdecimal() or int(text) >= len(label_names):
                raise InputError(
                    f"column {column!r} holds label {text}, but the file names {len(label_names)}"
                )
            return label_names[int(text)]
        if self.columns.votes_as != "labels" and self.columns.names is None:
            wrong = f"column {column!r} holds numbers, which may be counts or labels: {short_repr(value)}, …"
            remedy = "Say columns.votes_as counts or labels, and columns.names for what labels mean."
            raise InputError(wrong, remedy=remedy)
        return text

    def _renamed(self, votes: dict[str, Any]) -> dict[str, Any]:
        names = self.names
        if names is None:
            return votes
        renamed: dict[str, Any] = {}
        for label, count in votes.items():
            if label not in names:
                raise InputError(f"label {label!r} is not among columns.names: {', '.join(names)}")
            if names[label] in renamed and not is_missing(count):
                renamed[names[label]] = (renamed[names[label]] or 0) + count
            else:
                renamed.setdefault(names[label], count)
        return renamed


def mapped_rows(
    file: TableFile, mapper: RowMapper, bad_rows: BadRows
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """The rows of a file, each as its place and what makes a row of the format."""
    for where, load in file.rows(bad_rows):
        yield where, lambda load=load: mapper.mapped(load())


def _check_spelling(row: RawRow, key: str) -> None:
    """Refuse a column that differs from a key in case or blanks only: to ignore it could change the split."""
    for name in row.cells:
        if key not in row.cells and name.strip().casefold() == key:
            raise InputError(f"is column {name!r} the {key}? Say columns.{key}: {name}, or rename it")


def cell(row: RawRow, column: str) -> Any:
    """The value in a column; `a.b` is `b` of the object in `a`, or of each object of the list there.

    Raises:
        InputError: The row has no such column.
    """
    if column in row.cells:
        return row.cells[column]
    name, dot, inner = column.partition(".")
    value = row.cells.get(name)
    if dot and isinstance(value, dict) and inner in value:
        return value[inner]
    if dot and isinstance(value, list) and all(isinstance(one, dict) and inner in one for one in value):
        return [one[inner] for one in value]
    raise InputError(f"no column {column!r}; the row has {_listed(row)}")


def _listed(row: RawRow) -> str:
    return ", ".join(map(str, row.cells))[:300]


def _filled(row: RawRow, column: str) -> str:
    value = cell(row, column)
    if is_missing(value) or isinstance(value, list | dict) or (isinstance(value, str) and not value.strip()):
        raise InputError(f"column {column!r} of the text's template holds {short_repr(value)}")
    return str(value).strip()


def _parsed(value: Any, column: str) -> Any:
    """A text that is a JSON list or object as that; anything else as it is."""
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    try:
        return json_value(value)
    except InputError as error:
        raise InputError(f"column {column!r}: {error}") from error


def _number(value: Any) -> Any:
    """A count as a number; what is none stays, for the row's check to refuse. A blank cell is no vote."""
    if isinstance(value, str):
        if not value.strip():
            return None
        if NUMBER.fullmatch(value):
            return float(value)
    return value
