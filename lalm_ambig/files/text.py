"""Text files as they are read: UTF-8, with any ends of lines; anything else is refused by the name of what it is.

One broken byte in a row is the row's fault, and left to the reader of rows. An encoding is the whole file's: where
its letters beyond ASCII are another encoding's throughout, no row may be left out for it.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.contents import HEAD_BYTES, UTF_8_MARK, FileFormat, format_of

MARK = "\ufeff"
"""A byte order mark, once decoded."""
BLOCK_BYTES = 1 << 20
MOST_STRAYS = 1000
"""Lines of another encoding that are looked at to guess which."""
SAVE = "Save it as UTF-8"
EIGHT_BITS = (
    ("cp1252", "Windows-1252 or Latin-1", "CP1252"),
    ("mac_roman", "Mac Roman", "MACINTOSH"),
)
"""Codec, name and iconv's name of encodings that texts in Latin letters have."""
WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýßœÀÁÂÄÅÆÇÈÉÊËÍÎÏÑÓÔÖØÚÜŒ")
TYPOGRAPHY = frozenset("‘’“”„…–—€£°«»•¿¡\u00a0")
LEADS = bytes(range(0xC2, 0xF5))
"""What a letter beyond ASCII begins with in UTF-8."""
LONG_RUN = 3
"""So many letters beyond ASCII side by side are no text in Latin letters."""


def check_text(path: Path, *, other_letters: bool = False, may_be_empty: bool = False) -> None:
    """InputError with file and line for what is no UTF-8 text; single broken bytes are the reader's to refuse.

    Args:
        path: The file.
        other_letters: Accept letters in another encoding: they stand only where nobody reads them.
        may_be_empty: Accept a file without content.
    """
    with open_binary(path) as file:
        head = file.read(HEAD_BYTES)
        if not may_be_empty and not head.removeprefix(UTF_8_MARK).strip() and not file.read(1):
            raise InputError("the file is empty", where=str(path))
        if (kind := format_of(head)) is not None:
            raise wrong_format(kind, path)
        file.seek(0)
        strays = _Strays(path)
        line = 1
        while block := file.read(BLOCK_BYTES):
            block += file.readline()
            if b"\0" in block:
                raise zero_byte(f"{path}:{line + line_ends(block, block.index(0))}")
            if not other_letters and not block.isascii():
                strays.add(block.removeprefix(UTF_8_MARK), line)
            line += block.count(b"\n")
    strays.refuse()


def read_text(path: Path, *, other_letters: bool = False) -> str:
    """The content of a file, its lines ended by a newline each, without a byte order mark.

    With `other_letters`, bytes that are not UTF-8 become a mark. InputError for anything else that is no UTF-8 text.
    """
    with open_binary(path) as file:
        content = file.read()
    if not content.removeprefix(UTF_8_MARK).strip():
        raise InputError("the file is empty", where=str(path))
    return text_of(content, str(path), other_letters=other_letters)


def text_of(content: bytes, where: str, *, other_letters: bool = False) -> str:
    """Bytes as text, as `read_text` has it; `where` names them in an error."""
    if (kind := format_of(content[:HEAD_BYTES])) is not None:
        raise wrong_format(kind, Path(where))
    if b"\0" in content:
        raise zero_byte(f"{where}:{line_ends(content, content.index(0)) + 1}")
    try:
        text = content.decode("utf-8", "replace" if other_letters else "strict")
    except UnicodeDecodeError as error:
        line = line_ends(content, error.start) + 1
        raise not_utf_8(
            content[error.start], f"{where}:{line}", kind=guess_encoding(_stray_lines(content))
        ) from error
    return text.lstrip(MARK).replace("\r\n", "\n").replace("\r", "\n")


def line_ends(content: bytes, end: int) -> int:
    """How many lines end before a place, in the manner of any system."""
    return len(re.findall(rb"\r\n|\r|\n", content[:end]))


@contextmanager
def open_lines(path: Path, *, other_letters: bool = False) -> Iterator[TextIO]:
    """A file that was checked, as text whose ends of lines are kept and whose broken bytes are marked.

    A broken byte is the lone half of a surrogate pair (`surrogateescape`), or with `other_letters` U+FFFD.
    """
    check_text(path, other_letters=other_letters)
    errors = "replace" if other_letters else "surrogateescape"
    with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
        yield file


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes; InputError where it is missing, a folder, or may not be read."""
    try:
        if not path.is_file() and path.exists():
            raise InputError("it is a folder" if path.is_dir() else "it is no file", where=str(path))
        file = path.open("rb")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot be read: {why}", where=str(path)) from error
    with file:
        yield file


def wrong_format(kind: FileFormat, path: Path) -> InputError:
    """The error for a file that is another kind of thing."""
    if kind.encoding:
        return InputError(
            f"not UTF-8 but {kind.name}.", where=str(path), remedy=_conversion(kind.encoding, path)
        )
    remedy = f"{kind.remedy} {_quoted(path)} > NEW." if kind.remedy.endswith("-dc") else kind.remedy
    return InputError(f"{kind.name} in place of text.", where=str(path), remedy=remedy)


def zero_byte(where: str) -> InputError:
    """The error for a zero byte, which no text has."""
    return InputError(
        "a zero byte: the file is damaged, or no text.", where=where, remedy="Fetch or write it again."
    )


def not_utf_8(byte: int, where: str, *, kind: FileFormat | None) -> InputError:
    """The error for a byte that is not UTF-8, and what encoding it seems to be in."""
    path = Path(where.rpartition(":")[0] or where)
    if kind is None:
        return InputError(f"not UTF-8: the byte 0x{byte:02x} stands alone", where=where)
    remedy = _conversion(kind.encoding, path) if kind.encoding else f"{SAVE}."
    return InputError(f"not UTF-8: the byte 0x{byte:02x}, {kind.name}.", where=where, remedy=remedy)


def _conversion(codec: str, path: Path) -> str:
    return f"{SAVE} (in Excel: CSV UTF-8), or: iconv -f {codec} -t UTF-8 {_quoted(path)} > NEW."


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


class _Strays:
    """Lines with bytes that are not UTF-8, beside those that are and are not ASCII."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.first: tuple[int, int] | None = None
        """Line and byte."""
        self.count = self.sound = 0
        """Lines with a stray byte; letters that are UTF-8."""

    def add(self, block: bytes, line: int) -> None:
        """Take note of whole lines, of which the first has that number."""
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as error:
            if self.first is None:
                self.first = line + line_ends(block, error.start), block[error.start]
        else:
            self.sound += len(block) - len(block.translate(None, LEADS))
            return
        lines = _stray_lines(block)
        self.count += len(lines)
        self.sound += sum(not line.isascii() for line in block.splitlines()) - len(lines)
        self.lines += lines[: MOST_STRAYS - len(self.lines)]

    def refuse(self) -> None:
        """InputError where the file is in another encoding."""
        if self.first is None or self.sound >= self.count:
            return
        if (kind := guess_encoding(self.lines)) is not None:
            line, byte = self.first
            raise not_utf_8(byte, f"{self.path}:{line}", kind=kind)


def _stray_lines(content: bytes) -> list[bytes]:
    """The lines that are not UTF-8."""
    return [line for line in content.splitlines() if not line.isascii() and not _is_utf_8(line)]


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def guess_encoding(lines: list[bytes]) -> FileFormat | None:
    """The encoding that letters beyond ASCII seem to be in; None where they seem to be damage instead."""
    sample = b"\n".join(lines)
    scores = {codec: _plausible(sample.decode(codec, "replace")) for codec, _, _ in EIGHT_BITS}
    codec = max(scores, key=lambda name: scores[name])
    if scores[codec] > 0:
        name, conversion = next((name, conversion) for key, name, conversion in EIGHT_BITS if key == codec)
        return FileFormat(f"as {name} writes it", "", conversion)
    return FileFormat("as another encoding writes it", "") if _has_words(sample) else None


def _plausible(text: str) -> int:
    """How many more characters beyond ASCII are as in a Western text than are not; a lone letter says nothing."""
    score = 0
    for run in re.finditer(r"[^\x00-\x7f]+", text):
        beside = text[max(0, run.start() - 1) : run.start()] + text[run.end() : run.end() + 1]
        if len(run[0]) == 1 and run[0] in WESTERN and not any(other.isalpha() for other in beside):
            continue
        short = len(run[0]) < LONG_RUN
        for character in run[0]:
            score += 1 if (character in WESTERN and short) or character in TYPOGRAPHY else -1
    return score


def _has_words(sample: bytes) -> bool:
    """Whether bytes beyond ASCII stand in words, in more than one place."""
    return len(re.findall(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z\x80-\xff]", sample)) > 1
