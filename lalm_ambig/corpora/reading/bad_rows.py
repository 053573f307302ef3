"""Rows that cannot be read: they stop the reading, or are counted, listed and left out.

Leaving rows out helps if single rows are wrong. If more than half of a file's rows are wrong in one way, the file is
wrong. That is always an error, and leaving rows out is not offered for it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lalm_ambig.core.errors import InputError

SHOWN = 10
"""Bad rows that a note lists; the others are counted."""
REMEDY = (
    "--option skip_bad_rows=true (in fit: --data.skip_bad_rows true) leaves such rows out and lists them."
)
WHOLE_FILE = "Mend the file: leaving rows out would leave out most of it."
_VALUES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\S*\d\S*")
"""Parts of a message that differ between two rows with the same fault."""


class FileReading:
    """Counts over the rows of one file while it is read."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.good = 0
        """Rows that could be read; the reader sets it before it ends."""
        self.first: tuple[str, str] | None = None
        """Fault and place of the first bad row."""
        self.kinds: Counter[str] = Counter()
        """Count of each kind of fault."""
        self.firsts: dict[str, tuple[str, str]] = {}

    def add(self, what: str, where: str) -> None:
        kind = _VALUES.sub("#", what)
        self.kinds[kind] += 1
        self.firsts.setdefault(kind, (what, where))
        self.first = self.first or (what, where)

    def fault_of_the_file(self) -> InputError | None:
        """The error of the file, where more than half of its rows have one fault; else None."""
        rows = self.good + self.kinds.total()
        for kind, count in self.kinds.most_common(1):
            if 2 * count > rows:
                what, where = self.firsts[kind]
                share = f"so are {count:,} of {rows:,} rows" if count < rows else f"so are all {rows:,} rows"
                if rows == 1:
                    return InputError(_ended(what), where=where)
                if what.endswith("."):  # it says what to do
                    return InputError(f"{what} {share[0].upper()}{share[1:]}.", where=where)
                return InputError(f"{what}; {share}.", where=where, remedy=WHOLE_FILE)
        return None


class BadRows:
    """The malformed rows of one reading of a corpus."""

    def __init__(self, *, skip: bool) -> None:
        """Args:
        skip: Leave bad rows out. If False, the first one is an error.
        """
        self.skip = skip
        self.lines: list[str] = []
        self._files: list[FileReading] = []

    @contextmanager
    def reading(self, path: Path | str) -> Iterator[FileReading]:
        """Surround the reading of one file. At its end it is known whether the rows or the file are at fault.

        Raises:
            InputError: At the end: the file is at fault, or it has a bad row and bad rows are not left out.
        """
        reading = FileReading(path)
        self._files.append(reading)
        try:
            yield reading
        finally:
            self._files.remove(reading)
        if (error := reading.fault_of_the_file()) is not None:
            raise error
        if reading.first is not None and not self.skip:
            self._refuse(*reading.first)

    def add(self, what: str, *, where: str, remedy: str = REMEDY) -> None:
        """Note a bad row.

        Args:
            what: Its fault.
            where: File and line.
            remedy: Advice for the user.

        Raises:
            InputError: Bad rows are not left out. Inside `reading` the error comes at the end of the file.
        """
        self.lines.append(f"{where}: {what}")
        if self._files:
            self._files[-1].add(what, where)
        elif not self.skip:
            self._refuse(what, where, remedy)

    def notes(self, *, good: int) -> list[str]:
        """Lines for the user: how many rows were left out, and the first of them; empty where all were good.

        Args:
            good: Rows that were read.
        """
        if not self.lines:
            return []
        notes = [f"{len(self.lines):,} bad rows left out ({good:,} kept):", *self.lines[:SHOWN]]
        more = len(self.lines) - SHOWN
        return [*notes, f"and {more:,} more"] if more > 0 else notes

    def _refuse(self, what: str, where: str, remedy: str = REMEDY) -> None:
        raise InputError(_ended(what), where=where, remedy=remedy)


def _ended(what: str) -> str:
    return what if what.endswith((".", "?", "!")) else f"{what}."
