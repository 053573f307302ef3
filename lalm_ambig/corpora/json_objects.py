"""Lines of a JSON Lines file, one object each: the ground of every corpus that is distributed so."""

import json
import math
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

    Half of a surrogate pair is refused: JSON can spell it, but no table on disk can hold it. So is a key that an object
    has twice, of which Python's reader would silently keep the last.
    """
    try:
        values = json.loads(line.decode("utf-8"), object_pairs_hook=_without_twins)
        if b"\\ud" in line.lower():
            json.dumps(values, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg} at column {error.colno}") from error
    except UnicodeError as error:
        raise InputError(f"not Unicode text: {error}") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON that can be read: a number too long or brackets too deep") from error
    if not isinstance(values, dict):
        raise InputError(f"a row must be a JSON object, got {type(values).__name__}")
    return values


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"not JSON that can be read: an object has the key {shown(twin)} twice")
    return values


def shown(value: object) -> str:
    """A value as an error message quotes it: its repr, cut short where it is long."""
    return reprlib.repr(value)


def is_missing(value: object) -> bool:
    """Whether a value says that there is none: `null` as `datasets` and pandas write it, or pandas' own NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def hint(key: str, value: object) -> str:
    """How to write a value that should have been a text, behind a colon; empty where that is not known."""
    if isinstance(value, bool | int | float):
        return f": write {json.dumps(key)}: {json.dumps(json.dumps(value))}"
    return _unpacked(value)


def number_hint(value: object) -> str:
    """How to write a value that should have been a number, behind a colon; empty where that is not known."""
    if isinstance(value, bool):
        return f": write {int(value)}"
    if isinstance(value, str):
        return ": write a number without quotes, or null for none"
    return _unpacked(value)


def _unpacked(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        return ": write it without the list (in R's jsonlite, auto_unbox = TRUE)"
    return ""
