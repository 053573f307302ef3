"""CSV files as rows of cells whose columns are asked for by name, with the place of every row.

What is wrong with the whole file is an InputError: another separator, a header that is missing, a column that is not
there or there twice. What is wrong with a row is told to `BadRows`, and the reading goes on behind that row's first
line: a quote that nobody closes costs one row, not all rows up to the next quote.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, tee
from pathlib import Path
from typing import Protocol, runtime_checkable

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import short_repr
from lalm_ambig.files.text import MARK, open_lines

INDEX = re.compile(
    r"|unnamed: \d+(_level_\d+)?(\.\d+)*|index|level_\d+|x(\.\d+)?|\.\.\.\d+|row\.?names?", re.IGNORECASE
)
"""What a column of row names is called where nobody has named it: by R, readr and pandas, once or again."""
MISSING = frozenset(("", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nat"))
"""A cell without a value, as programs write it, in lower case. A free text may well be one of these words."""
LONGEST_MISSING = 16
"""Characters of such a cell, with blanks around the word."""
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
REPAIR = "Save it with commas (in pandas: read_csv(FILE, sep={separator!r}).to_csv(NEW, index=False))."
WHOLE = re.compile(r"(\d+)(?:\.0*)?", re.ASCII)
MOST_INNER_LINES = 10_000
"""Lines of one cell that are looked at."""
MOST_DIGITS = 18
OPEN = "a quote is still open at the end of the line"
FEW = 2
"""Cells of a header that may be a line with another separator."""
Lines = Iterable[str]
NumberedRow = tuple[int, list[str]]
"""The line that a row begins in, and its cells."""


@runtime_checkable
class RowFaults(Protocol):
    """Who is told of rows that cannot be read."""

    def add(self, what: str, *, where: str) -> None: ...


class Table:
    """The rows of a CSV file, whose header has been read.

    A header's names are compared without case and the blanks around them.
    """

    def __init__(self, lines: Lines, *, source: str, multi_line: bool = False) -> None:
        """
        Args:
            lines: The file's lines with their ends.
            source: How errors name the file.
            multi_line: Whether a cell may hold ends of lines; else a row is one line.

        InputError where the file is empty, or has another separator than the comma.
        """
        self.source, self.multi_line = source, multi_line
        self._before = 0
        """Lines before the first that the present reader was given."""
        self._read_on(iter(lines))
        header = self._header()
        self.names = tuple(_cleaned(name) for name in header)
        self._keys = [name.casefold() for name in self.names]
        self._words = frozenset(header)
        self._width = len(self.names)

    def position(self, *names: str) -> int:
        """The position of the one column with one of these names; InputError if there is none, or another of them.

        The first name that the file has counts. A column that pandas has numbered, because its name came twice, is a
        second one.
        """
        for name in names:
            key = name.casefold()
            if key in self._keys:
                self._check_single(key, name)
                return self._keys.index(key)
        missing = f"missing column {' or '.join(repr(name) for name in names)}"
        headless = "; is the header missing?" if any(WHOLE.fullmatch(name) for name in self.names) else ""
        raise InputError(
            f"{missing}; the file has {header_text(self.names)}{headless}", where=f"{self.source}:1"
        )

    def has(self, name: str) -> bool:
        return name.casefold() in self._keys

    def unnamed(self) -> list[int]:
        """Positions of the columns that hold row names or numbers of rows (see INDEX)."""
        return [place for place, name in enumerate(self.names) if INDEX.fullmatch(name)]

    def rows(self, bad_rows: RowFaults) -> Iterator[NumberedRow]:
        """Every row that is not blank, with the line it begins in. Bad rows: a quote that stays open or ends too
        early, and cells that do not fit the header."""
        while True:
            line = self._before + self._reader.line_num + 1
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                several = self._before + self._reader.line_num > line
                self._go_back(line, OPEN if several else _reason(error), bad_rows)
                continue
            count = self._before + self._reader.line_num + 1 - line
            if count > 1 and (wrong := self._swallowed(row)):
                self._go_back(line, wrong, bad_rows)
                continue
            for _ in range(count):
                next(self._behind)
            if len(row) == self._width and any(row):
                if row[-1] in self._words:
                    self._check_no_header(row, line)
                row[0] = row[0].lstrip(MARK)
                yield line, row
            elif any(cell.strip() for cell in row):
                what = f"{len(row)} columns, but the header has {self._width}: is the row cut?"
                bad_rows.add(what, where=f"{self.source}:{line}")

    def _read_on(self, lines: Iterator[str]) -> None:
        """Read these lines from now on; `_behind` stays at the first line of the present row."""
        ahead, self._behind = tee(lines)
        self._reader = csv.reader(ahead, strict=True)

    def _go_back(self, line: int, wrong: str, bad_rows: RowFaults) -> None:
        """Tell of a row, and read on after its first line."""
        bad_rows.add(wrong, where=f"{self.source}:{line}")
        next(self._behind)
        self._before = line
        self._read_on(self._behind)

    def _header(self) -> list[str]:
        header, wrong = None, ""
        try:
            header = next((row for row in self._reader if any(_cleaned(cell) for cell in row)), None)
        except csv.Error as error:
            wrong = _reason(error)
        if header is None and not wrong:
            raise InputError("the file is empty", where=self.source)
        lines = list(islice(self._behind, self._reader.line_num))
        if header is None or len(header) <= FEW:
            self._check_separator(next(line for line in lines if _cleaned(line)))
        if header is None:
            raise InputError(wrong, where=f"{self.source}:1")
        return header

    def _check_separator(self, header: str) -> None:
        """InputError for a header that has another separator than the comma, or is one quoted cell."""
        if match := re.fullmatch(r"\W*sep=(.?)\W*", header, re.IGNORECASE):
            wrong = f"its first line, {short_repr(header.strip())}, is a setting of Excel's: remove it."
            raise InputError(wrong, where=f"{self.source}:1", remedy=_repair(match[1]))
        for separator, name in SEPARATORS.items():
            if separator in header:
                wrong = f"its columns are separated by {name}, not by commas."
                raise InputError(wrong, where=f"{self.source}:1", remedy=_repair(separator))
        if re.fullmatch(r'\W*"(?:[^"]|"")*,(?:[^"]|"")*"\s*', header):
            wrong = "its header is one cell in quotes, with the commas inside: remove the quotes around whole lines"
            raise InputError(wrong, where=f"{self.source}:1")

    def _check_single(self, key: str, name: str) -> None:
        numbered = re.compile(rf"{re.escape(key)}\.\d+")
        twins = [
            n
            for n, other in zip(self.names, self._keys, strict=True)
            if other == key or numbered.fullmatch(other)
        ]
        if len(twins) > 1:
            wrong = f"column {name!r} stands there twice: {', '.join(repr(twin) for twin in twins)}"
            raise InputError(wrong, where=f"{self.source}:1")

    def _check_no_header(self, row: list[str], line: int) -> None:
        """InputError for a second header, under which the columns may be in another order."""
        if row[-1].strip().casefold() in self._keys and self._width > 1:
            cells = [_cleaned(cell).casefold() for cell in row]
            if sorted(cells) == sorted(self._keys):
                wrong = "the header stands there again: are these several files in one? Remove the line"
                more = (
                    ""
                    if cells == self._keys
                    else ", and put the columns below it into the order of the first"
                )
                raise InputError(f"{wrong}{more}", where=f"{self.source}:{line}")

    def _swallowed(self, row: list[str]) -> str:
        """What is wrong with a row over several lines; empty where it is a row."""
        if not self.multi_line:
            return OPEN
        if len(row) != self._width:
            return (
                f"{len(row)} columns, but the header has {self._width}: is a quote left open, or the row cut?"
            )
        for cell in row:
            for inner in islice(cell.split("\n"), MOST_INNER_LINES) if "\n" in cell else ():
                if inner.count(",") >= self._width - 1 and len(next(csv.reader([inner]), [])) == self._width:
                    return f"a cell holds a whole row: is a quote left open? {short_repr(inner)}"
        return ""


@contextmanager
def open_table(path: Path, *, multi_line: bool = False, other_letters: bool = False) -> Iterator[Table]:
    """The table of a file; InputError where it is no UTF-8 text, or no CSV with commas and a header."""
    with open_lines(path, other_letters=other_letters) as lines:
        yield Table(lines, source=str(path), multi_line=multi_line)


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return len(cell) <= LONGEST_MISSING and cell.strip().casefold() in MISSING


def whole_number(cell: str) -> int | None:
    """The whole number of 0 or more that a cell spells, also as `6.0`; None for anything else."""
    match = WHOLE.fullmatch(cell.strip())
    return int(match[1]) if match and len(match[1]) <= MOST_DIGITS else None


def name_text(cell: str) -> str:
    """A name or id as other programs may have made a number of it: `12.0` is `12`, without blanks around it."""
    name = cell.strip()
    match = WHOLE.fullmatch(name) if "." in name else None
    return match[1] if match else name


def header_text(names: Sequence[str]) -> str:
    """A header as an error quotes it."""
    text = ", ".join(names)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _cleaned(name: str) -> str:
    return name.strip().strip(MARK).strip()


def _repair(separator: str) -> str:
    return "" if separator in ("", ",") else REPAIR.format(separator=separator)


def _reason(error: csv.Error) -> str:
    """The library's words, and what they mean for the file."""
    words = str(error)
    if "unexpected end" in words:
        return OPEN
    return f"not CSV: {words}{': is a quote left open?' if 'field larger' in words else ''}"
