r"""The rows of a label file of Dusha as texts: `raw_PART.jsonl`, or else `raw_PART.tsv`.

Both have one row per vote. The table has a header, tabs between the columns, and no quotes:

    hash_id\taudio_path\tduration\tannotator_emo\tgolden_emo\tspeaker_text\tspeaker_emo\tsource_id\tannotator_id

`duration` is not read, since the sound says it. `speaker_emo` is what the actor was asked for: it is never read.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import id_text
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files import csv
from lalm_ambig.files.csv import header_text
from lalm_ambig.files.json_lines import is_missing, json_object, numbered_lines, short_repr
from lalm_ambig.files.text import MARK, open_lines

ENDINGS = (".jsonl", ".tsv")
"""Endings of a label file; the first on disk is read."""


class Cells(NamedTuple):
    """What is read of a row, as texts without blanks around them; empty where the file has nothing."""

    hash_id: str
    audio_path: str
    annotator_emo: str
    golden_emo: str
    speaker_text: str
    source_id: str
    annotator_id: str


COLUMNS = Cells._fields
MAY_BE_EMPTY = frozenset({"golden_emo", "speaker_text", "source_id"})
NEEDED = tuple((place, name) for place, name in enumerate(COLUMNS) if name not in MAY_BE_EMPTY)


def read_rows(path: Path, bad_rows: BadRows) -> Iterator[tuple[int, Cells]]:
    """Yield the line and the cells of every row.

    Args:
        path: A file with one of ENDINGS.
        bad_rows: Collects rows that are cut, hold what is no text, or lack a value that is not in MAY_BE_EMPTY.

    Raises:
        InputError: The file is not UTF-8 text, or its header lacks a column.
    """
    if path.suffix == ".tsv":
        with open_lines(path) as lines:
            yield from _table_rows(lines, str(path), bad_rows)
        return
    for where, line in numbered_lines(path):
        try:
            cells = _of_object(json_object(line))
        except InputError as error:
            bad_rows.add(str(error), where=where)
            continue
        yield int(where.rpartition(":")[2]), cells


def _of_object(values: dict[str, Any]) -> Cells:
    """The cells of an object.

    Raises:
        InputError: A key is missing, a value is no text, or a needed one is empty.
    """
    try:
        cells = [values[name] for name in COLUMNS]
    except KeyError as error:
        names = header_text(list(values))
        raise InputError(f'a row needs the key "{error.args[0]}"; this one has {names}') from error
    return _checked(
        cell if isinstance(cell, str) else _text(name, cell)
        for name, cell in zip(COLUMNS, cells, strict=True)
    )


def _text(name: str, value: object) -> str:
    if is_missing(value):
        return ""
    if (text := id_text(value)) is None:
        raise InputError(f'"{name}" must be a text, got {short_repr(value)}')
    return text


def _table_rows(lines: Iterable[str], source: str, bad_rows: BadRows) -> Iterator[tuple[int, Cells]]:
    places, width = list[int](), 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = line.rstrip("\r\n").split("\t")
        if not places:
            places, width = _positions(cells, f"{source}:{number}"), len(cells)
            continue
        try:
            if len(cells) != width:
                raise InputError(f"{len(cells)} columns, but the header has {width}: is the row cut?")
            if not line.isascii():
                _check_letters(line)
            yield number, _checked(cells[place] for place in places)
        except InputError as error:
            bad_rows.add(str(error), where=f"{source}:{number}")


def _positions(header: list[str], where: str) -> list[int]:
    """Position of each of COLUMNS.

    Raises:
        InputError: A column is missing or there twice, or tabs do not separate them.
    """
    names = [name.strip().strip(MARK).strip() for name in header]
    if len(names) == 1:
        raise InputError(f"its columns are not separated by tabs: {short_repr(names[0])}", where=where)
    for name in COLUMNS:
        if names.count(name) != 1:
            what = f"column {name!r} stands there twice" if name in names else f"missing column {name!r}"
            raise InputError(f"{what}; the file has {header_text(names)}", where=where)
    return [names.index(name) for name in COLUMNS]


def _check_letters(line: str) -> None:
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"not UTF-8: a broken byte at character {error.start + 1}") from error


def _checked(cells: Iterable[str]) -> Cells:
    """The cells without blanks around them.

    Raises:
        InputError: A needed one is empty.
    """
    row = Cells(*[cell.strip() for cell in cells])
    for place, name in NEEDED:
        if csv.is_missing(row[place]):
            raise InputError(f"{name} is empty")
    return row
