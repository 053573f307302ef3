"""The kinds of output files: only a file of the same kind, an empty one, or none may be written over.

A file tells its kind by its content: keys that only this kind of JSON has, or a mark (`mark_of`) at one of its ends.
Its name does not count. Anything but a regular file (`/dev/stdout`, a FIFO) is written through and needs no kind.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.failures import reason

EDGE = 4096
"""Bytes at either end of a file that are searched for a mark."""
LARGEST_JSON = 64 << 20


@dataclass(frozen=True)
class OutputKind:
    """A kind of file that one command writes."""

    what: str
    """Description for errors, such as `a table of predictions`."""
    holds: Callable[[Path], bool]
    """Returns True for a file of this kind."""


def json_with(what: str, *keys: str) -> OutputKind:
    """One JSON object with at least those keys."""

    def holds(path: Path) -> bool:
        return path.stat().st_size <= LARGEST_JSON and _has_keys(path.read_bytes(), keys)

    return OutputKind(what, holds)


def rows_with(what: str, *keys: str) -> OutputKind:
    """JSON Lines whose first line is an object with at least those keys."""

    def holds(path: Path) -> bool:
        with path.open("rb") as lines:
            return _has_keys(lines.readline(LARGEST_JSON), keys)

    return OutputKind(what, holds)


def mark_of(command: str) -> str:
    """The mark in a file for people: a comment at its end, or the program's name in a field of its format."""
    return f"written by lalm_ambig {command}"


def marked(what: str, mark: str) -> OutputKind:
    """A file for people, or a picture, that holds a mark at its beginning or its end."""

    def holds(path: Path) -> bool:
        with path.open("rb") as file:
            begin = file.read(EDGE)
            file.seek(max(0, path.stat().st_size - EDGE))
            return any(mark.encode() in edge for edge in (begin, file.read()))

    return OutputKind(what, holds)


def table_with(what: str, last: str) -> OutputKind:
    """A CSV whose first line ends with that column."""

    def holds(path: Path) -> bool:
        with path.open("rb") as file:
            return file.readline(EDGE).rstrip(b"\r\n").endswith(f",{last}".encode())

    return OutputKind(what, holds)


def check_replaceable(path: Path, kind: OutputKind, *, where: str) -> None:
    """Check that writing to a path destroys no file of another kind.

    Args:
        path: Where a command will write.
        kind: The kind of its output.
        where: Place for the error.

    Raises:
        InputError: A file of another kind is there, or it cannot be read.
    """
    try:
        if not path.is_file() or path.stat().st_size == 0 or kind.holds(path):
            return
        why = f"{path} is there and is not {kind.what}"
    except OSError as error:
        why = f"{path} cannot be looked at ({reason(error)})"
    raise InputError(
        f"{why}: it is left as it is.", where=where, remedy="Name another place, or move it away."
    )


def _has_keys(content: bytes, keys: tuple[str, ...]) -> bool:
    try:
        row = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and set(keys) <= set(row)
