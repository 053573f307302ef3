"""JSON Lines (one object per line) read and written, and files of one JSON value.

`numbered_lines` yields the lines of a file, `json_object` parses one of them. The parser refuses some inputs that
Python's accepts: an object with one key twice, half of a surrogate pair, a number too long, brackets too deep. A fault
of the file, such as an array in place of lines, names the file. A fault of a line has no place; the caller adds it.

`write_rows` writes with the package jsonlines. Its reader is not used: it strips a second byte order mark and U+001E
silently, and it numbers lines by line feeds alone.
"""

import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonlines

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import replacing_text
from lalm_ambig.files.text import MARK, check_text, open_binary

BYTE_ORDER_MARK = MARK.encode()
_BLANKS = " \t\n\r"
"""Blanks of JSON; Python's `strip` removes more characters."""
_ENDS = re.compile(rb"\r\n|\r|\n")
_PYTHON = re.compile(r"\s*[{\[]\s*'|[:,\[]\s*(?:None|True|False)\b")
"""An object as Python prints it, which is not JSON."""
PYTHON = "it is in Python's notation; write it with json.dumps"
LINES = 'write one object a line (in pandas: to_json(NEW, orient="records", lines=True))'
Pairs = list[tuple[str, Any]]


def numbered_lines(path: Path, *, complete: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield place (`file:line`) and bytes of every line that is not blank, without a byte order mark.

    Args:
        path: The file. It may be written to at the same time.
        complete: Leave out a last line whose end is still missing.

    Raises:
        InputError: The file is not UTF-8 text, or it is a JSON array, or an object over several lines.
    """
    check_text(path, may_be_empty=True)
    number, first, name = 0, True, str(path)
    with open_binary(path) as lines:
        for line in lines:
            for piece in (line,) if b"\r" not in line[:-2] else _pieces(line):
                number += 1
                if complete and not piece.endswith((b"\n", b"\r")):
                    continue
                if content := piece.removeprefix(BYTE_ORDER_MARK).strip():
                    if first:
                        _check_is_lines(content, path)
                        first = False
                    yield f"{name}:{number}", content


def _pieces(line: bytes) -> list[bytes]:
    """Split a line at the line ends of other systems; each piece has its end."""
    starts = [0, *(end.end() for end in _ENDS.finditer(line))]
    ends = [*starts[1:], len(line)]
    return [line[start:end] for start, end in zip(starts, ends, strict=True) if start < end]


def _check_is_lines(first: bytes, path: Path) -> None:
    if first == b"[" or (first.startswith(b"[") and first.rstrip(b",").endswith((b"{", b"}", b"}]"))):
        raise InputError(f"a JSON array in place of JSON Lines: {LINES}.", where=str(path))
    if first.startswith(b"{") and first.endswith((b"{", b",", b"[")) and not _is_json(first.rstrip(b",")):
        raise InputError(f"an object over several lines: {LINES}.", where=str(path))


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def json_object(line: bytes) -> dict[str, Any]:
    """Parse a line that holds one object.

    Raises:
        InputError: The line holds anything else; the message has no place.
    """
    try:
        values = json_value(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"not Unicode text: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"a row must be a JSON object, got {type(values).__name__}")
    return values


def json_value(text: str, *, source: str = "", of_pairs: Callable[[Pairs], object] | None = None) -> Any:
    """Parse one JSON value.

    Args:
        text: The value.
        source: Name of the file in errors; without it they have no place.
        of_pairs: Converts the members of an object; by default to a dictionary, in which no key may come twice.

    Returns:
        The value.

    Raises:
        InputError: The text is not JSON, or Python's parser would lose part of it.
    """
    try:
        values = _parsed(text, of_pairs)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(values, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg} at column {error.colno}{_meant(text, error)}"
        raise InputError(what, where=f"{source}:{error.lineno}" if source else "") from error
    except UnicodeError as error:
        raise InputError(f"not Unicode text: {error}", where=source) from error
    except InputError as error:
        raise InputError(str(error), where=source) from error
    except (ValueError, RecursionError) as error:
        wrong = "not JSON that can be read: a number too long or brackets too deep"
        raise InputError(wrong, where=source) from error
    return values


def write_rows(path: Path | str, rows: Iterable[Mapping[str, Any]]) -> Path:
    r"""Write one JSON object per line in UTF-8, without holding all of them in memory.

    The file is replaced once all rows are written, or stays as it was. Half of a surrogate pair becomes `\ud800`.

    Args:
        path: The file; missing folders above it are made.
        rows: The objects, in order.

    Returns:
        The path.

    Raises:
        CannotWrite: The file cannot be written.
        ValueError: A value is NaN or infinite, which JSON cannot hold.
    """
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    with replacing_text(path) as file, jsonlines.Writer(file, dumps=encode) as writer:
        writer.write_all(rows)
    return Path(path)


def unique_members(pairs: Pairs) -> dict[str, Any]:
    """Make a dictionary of an object's members.

    Raises:
        InputError: A key comes twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"not JSON that can be read: an object has the key {short_repr(twin)} twice")
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=unique_members)
"""One for all lines: a decoder costs as much as a short line."""


def _parsed(text: str, of_pairs: Callable[[Pairs], object] | None) -> Any:
    if of_pairs is None and not text.startswith(MARK):
        return _DECODER.decode(text)
    return json.loads(text, object_pairs_hook=of_pairs or unique_members)


def _meant(text: str, error: json.JSONDecodeError) -> str:
    """Guess of the writer's intention, after a colon; empty where there is none."""
    rest = text[error.pos :].strip(_BLANKS)
    if error.msg == "Extra data":
        if rest and set(rest) <= {",", ";"}:
            return f": end the line after the object, without {rest[0]!r}"
        return ": one object a line" if rest.lstrip(", ").startswith("{") else ""
    if _PYTHON.search(text):
        return f": {PYTHON}"
    if text[: error.pos].rstrip(_BLANKS).endswith(",") and rest.startswith(("}", "]")):
        return ": a comma before the end"
    return ""


def short_repr(value: object) -> str:
    """A value as errors quote it: its repr, shortened where it is long."""
    return reprlib.repr(value)


def is_missing(value: object) -> bool:
    """True for a value that means "none": null, or the NaN of pandas."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_hint(key: str, value: object) -> str:
    """How to write a value that must be a text, after a colon; empty where there is no advice."""
    if isinstance(value, bool | int | float):
        return f": write {json.dumps(key)}: {json.dumps(json.dumps(value))}"
    return _unpacked(value)


def number_hint(value: object) -> str:
    """How to write a value that must be a number, after a colon; empty where there is no advice."""
    if isinstance(value, bool):
        return f": write {int(value)}"
    if isinstance(value, str):
        return ": write a number without quotes, or null for none"
    return _unpacked(value)


def _unpacked(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        return ": write it without the list (in R's jsonlite, auto_unbox = TRUE)"
    return ""
