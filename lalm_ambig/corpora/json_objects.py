"""Lines of a JSON Lines file, one object each: the ground of every corpus that is distributed so."""

import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lalm_ambig.errors import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def numbered_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """The place (`file:line`) and the bytes of every line that is not blank, without a byte order mark."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            content = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if content.strip():
                yield f"{path}:{number}", content


def json_object(line: bytes) -> dict[str, Any]:
    """The object that a line holds; InputError for anything else, without its place, which the caller knows.

    Half of a surrogate pair is refused: JSON can spell it, but no table on disk can hold it.
    """
    try:
        values = json.loads(line.decode("utf-8"))
        if b"\\ud" in line.lower():
            json.dumps(values, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg} at column {error.colno}") from error
    except UnicodeError as error:
        raise InputError(f"not Unicode text: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON that can be read: a number too long or brackets too deep") from error
    if not isinstance(values, dict):
        raise InputError(f"a row must be a JSON object, got {type(values).__name__}")
    return values


def shown(value: object) -> str:
    """A value as an error message quotes it: its repr, cut short where it is long."""
    return reprlib.repr(value)
