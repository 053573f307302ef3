"""CSV files as rows of cells; columns are found by name, and every row has its line number.

A fault of the file is an InputError: another separator, a missing header, a column that is missing or there twice. A
fault of a row goes to `BadRows`, and the reading continues after that row's first line. A quote that nobody closes
therefore costs one row, not all rows up to the next quote.
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
"""Names that R, readr and pandas give to a column of row names without a name, when they save once or again."""
MISSING = frozenset(("", "nan", "na", "n/a", "#n/a", "<na>", "null", "none", "nat"))
"""A cell without a value, as programs write it, in lower case. A free text may be one of these words, too."""
LONGEST_MISSING = 16
"""Most characters of such a cell, with blanks around the word."""
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
REPAIR = "Save it with commas (in pandas: read_csv(FILE, sep={separator!r}).to_csv(NEW, index=False))."
WHOLE = re.compile(r"(\d+)(?:\.0*)?", re.ASCII)
MOST_INNER_LINES = 10_000
"""Lines of one cell that are examined."""
MOST_DIGITS = 18
OPEN = "a quote is still open at the end of the line"
FEW = 2
"""Most cells of a header that may be a line with another separator."""
Lines = Iterable[str]
NumberedRow = tuple[int, list[str]]
"""Number of the line that a row begins in, and its cells."""


@runtime_checkable
class RowFaults(Protocol):
    """Collects the faults of rows that cannot be read (see `BadRows`)."""

    def add(self, what: str, *, where: str) -> None: ...


class Table:
    """The rows of a CSV file after its header.

    Names of columns are compared without case and without blanks around them.
    """

    def __init__(self, lines: Lines, *, source: str, multi_line: bool = False) -> None:
        """Args:
            lines: The file's lines with their ends.
            source: Name of the file in errors.
            multi_line: True where a cell may hold line ends; else a row is one line.

        Raises:
            InputError: The file is empty, or its separator is not the comma.
        """
        self.source, self.multi_line = source, multi_line
        self._before = 0
        """Lines before the first line of the present csv reader."""
        self._read_on(iter(lines))
        header = self._header()
        self.names = tuple(_cleaned(name) for name in header)
        self._keys = [name.casefold() for name in self.names]
        self._words = frozenset(header)
        self._width = len(self.names)

    def position(self, *names: str) -> int:
        """Position of the column with one of these names.

        A column that pandas numbered, because its name came twice, counts as a second one.

        Args:
            names: Alternatives; the first that the file has counts.

        Raises:
            InputError: No column has one of the names, or two have it.
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
        """Positions of the columns of row names or row numbers (see INDEX)."""
        return [place for place, name in enumerate(self.names) if INDEX.fullmatch(name)]

    def rows(self, bad_rows: RowFaults) -> Iterator[NumberedRow]:
        """Yield every row that is not blank, with the line it begins in.

        Args:
            bad_rows: Collects quotes that stay open or end too early, and rows that do not fit the header.
        """
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
        """Read these lines next. `_behind` stays at the first line of the present row."""
        ahead, self._behind = tee(lines)
        self._reader = csv.reader(ahead, strict=True)

    def _go_back(self, line: int, wrong: str, bad_rows: RowFaults) -> None:
        """Report a row, and continue after its first line."""
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
        """Refuse a header with another separator than the comma, or of one quoted cell."""
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
        is_numbered = (
            f"{key}.1" in self._keys
        )  # so pandas calls the second; 1 and 1.5 are two steps of a scale
        twins = [
            n
            for n, other in zip(self.names, self._keys, strict=True)
            if other == key or (is_numbered and numbered.fullmatch(other))
        ]
        if len(twins) > 1:
            wrong = f"column {name!r} stands there twice: {', '.join(repr(twin) for twin in twins)}"
            raise InputError(wrong, where=f"{self.source}:1")

    def _check_no_header(self, row: list[str], line: int) -> None:
        """Refuse a second header: the columns below it may be in another order."""
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
        """The fault of a row over several lines; empty where there is none."""
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
    """Open the table of a file.

    Args:
        path: The file.
        multi_line: True where a cell may hold line ends.
        other_letters: Accept letters that are not UTF-8; they become U+FFFD.

    Raises:
        InputError: The file is not UTF-8 text, or not CSV with commas and a header.
    """
    with open_lines(path, other_letters=other_letters) as lines:
        yield Table(lines, source=str(path), multi_line=multi_line)


def is_missing(cell: str) -> bool:
    """True for a cell without a value: empty, or one of MISSING.

    >>> is_missing(" NaN "), is_missing("0")
    (True, False)
    """
    return len(cell) <= LONGEST_MISSING and cell.strip().casefold() in MISSING


def whole_number(cell: str) -> int | None:
    """The whole number of 0 or more in a cell; None for anything else.

    >>> whole_number("6.0"), whole_number("6.5"), whole_number("-1")
    (6, None, None)
    """
    match = WHOLE.fullmatch(cell.strip())
    return int(match[1]) if match and len(match[1]) <= MOST_DIGITS else None


def name_text(cell: str) -> str:
    """A name or id without blanks around it, and without the `.0` that programs add to numbers.

    >>> name_text(" 12.0 "), name_text("12.5")
    ('12', '12.5')
    """
    name = cell.strip()
    match = WHOLE.fullmatch(name) if "." in name else None
    return match[1] if match else name


def header_text(names: Sequence[str]) -> str:
    """A header as errors quote it: at most 300 characters."""
    text = ", ".join(names)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _cleaned(name: str) -> str:
    return name.strip().strip(MARK).strip()


def _repair(separator: str) -> str:
    return "" if separator in ("", ",") else REPAIR.format(separator=separator)


def _reason(error: csv.Error) -> str:
    """The library's message, and its meaning for the file."""
    words = str(error)
    if "unexpected end" in words:
        return OPEN
    return f"not CSV: {words}{': is a quote left open?' if 'field larger' in words else ''}"
