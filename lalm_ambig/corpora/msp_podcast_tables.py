"""The CSV and JSON files of MSP-Podcast as numbered entries, so that every error can name its line."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from lalm_ambig.corpora.bad_rows import BadRows
from lalm_ambig.corpora.json_objects import shown
from lalm_ambig.errors import InputError


class Members(tuple[tuple[str, object], ...]):
    """The members of a JSON object in the file's order, in which a name may come twice."""

    __slots__ = ()


class Table:
    """The rows of a CSV file by column name."""

    def __init__(self, lines: Iterable[str], *, source: str) -> None:
        """Reads the header; InputError where the file is empty."""
        self.source = source
        self._reader = csv.reader(lines)
        header = next(self._numbered(), None)
        if header is None:
            raise InputError("the file is empty", where=source)
        self.names = tuple(name.strip() for name in header[1])

    def position(self, *names: str) -> int:
        """The position of the first column with one of these names, in any case; InputError if there is none."""
        wanted = [name.casefold() for name in names]
        for position, name in enumerate(self.names):
            if name.casefold() in wanted:
                return position
        missing = f"missing column {' or '.join(repr(name) for name in names)}"
        raise InputError(f"{missing}; the file has {', '.join(self.names)}", where=f"{self.source}:1")

    def rows(self, bad_rows: BadRows) -> Iterator[tuple[int, Sequence[str]]]:
        """Every row that is not blank, with its line; one whose cells do not fit the header is a bad row."""
        for line, row in self._numbered():
            where = f"{self.source}:{line}"
            if not any(row):
                continue
            if self._reader.line_num > line:
                bad_rows.add(f"a quote is still open at the end of the line: {shown(row)}", where=where)
            elif len(row) != len(self.names):
                bad_rows.add(f"{len(row)} columns, but the header has {len(self.names)}", where=where)
            else:
                yield line, row

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        """Every row with the line it begins in."""
        while True:
            line = self._reader.line_num + 1
            try:
                row = next(self._reader, None)
            except csv.Error as error:
                raise InputError(f"not CSV: {error}", where=f"{self.source}:{line}") from error
            if row is None:
                return
            yield line, row


def json_entries(
    text: str,
    *,
    source: str,
    keep: Callable[[Sequence[tuple[str, Any]]], object] = Members,
) -> Iterator[tuple[int, str, object]]:
    """Line, name and value of every member of the outermost object, which may be wrapped in a list of one.

    Args:
        text: Content of the file.
        source: How errors name the file.
        keep: What becomes of each object inside; a smaller form keeps a large file small in memory.
    """
    try:
        whole = json.loads(text, object_pairs_hook=keep)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", where=f"{source}:{error.lineno}") from error
    except (ValueError, RecursionError) as error:  # endless digits or nesting
        raise InputError(f"not JSON that can be read: {error}", where=source) from error
    if isinstance(whole, list) and len(whole) == 1:
        whole = whole[0]
    if not isinstance(whole, Members):
        raise InputError("expected one JSON object with a member a file", where=source)
    line, at = 1, 0
    for name, value in whole:
        found = text.find(f'"{name}"', at)
        if found >= 0:
            line, at = line + text.count("\n", at, found), found + len(name)
        yield line, name, value
