"""Text files: UTF-8 with any line ends; anything else is refused by its name.

A broken byte in a row is that row's fault, and the reader of rows refuses it. An encoding belongs to the file: where
the letters beyond ASCII are in another encoding throughout, the file is refused and no row is left out.
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
"""Lines with stray bytes that are examined to guess their encoding."""
SAVE = "Save it as UTF-8"
EIGHT_BITS = (
    ("cp1252", "Windows-1252 or Latin-1", "CP1252"),
    ("mac_roman", "Mac Roman", "MACINTOSH"),
)
"""Encodings of texts in Latin letters: codec, name, and iconv's name."""
WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýßœÀÁÂÄÅÆÇÈÉÊËÍÎÏÑÓÔÖØÚÜŒ")
TYPOGRAPHY = frozenset("‘’“”„…–—€£°«»•¿¡\u00a0")
LEADS = bytes(range(0xC2, 0xF5))
"""First bytes of letters beyond ASCII in UTF-8."""
LONG_RUN = 3
"""Letters beyond ASCII side by side from which on a text is not in Latin letters."""


def check_text(path: Path, *, other_letters: bool = False, may_be_empty: bool = False) -> None:
    """Check that a file is UTF-8 text. Single broken bytes pass; the reader of rows refuses them.

    Args:
        path: The file.
        other_letters: Accept letters in another encoding, for files that hold them in fields that are not read.
        may_be_empty: Accept a file without content.

    Raises:
        InputError: The file is not UTF-8 text; names file and line.
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
    """Read a file as text: line ends become line feeds, and a byte order mark is removed.

    Args:
        path: The file.
        other_letters: Bytes that are not UTF-8 become U+FFFD.

    Returns:
        The text.

    Raises:
        InputError: The file is empty, cannot be read, or is not UTF-8 text.
    """
    with open_binary(path) as file:
        content = file.read()
    if not content.removeprefix(UTF_8_MARK).strip():
        raise InputError("the file is empty", where=str(path))
    return text_of(content, str(path), other_letters=other_letters)


def text_of(content: bytes, where: str, *, other_letters: bool = False) -> str:
    """Decode bytes as `read_text` does.

    Args:
        content: The bytes of a text file.
        where: Name of the file, for errors.
        other_letters: Replace bytes that are not UTF-8, in place of an error.

    Returns:
        The text with the line ends of Unix, without a byte order mark.

    Raises:
        InputError: The content is of another format, has a zero byte, or is not UTF-8.
    """
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
    """Number of line ends before a position, as any system writes them."""
    return len(re.findall(rb"\r\n|\r|\n", content[:end]))


@contextmanager
def open_lines(path: Path, *, other_letters: bool = False) -> Iterator[TextIO]:
    """Check a file and open it as text, with its line ends.

    Args:
        path: The file.
        other_letters: A broken byte becomes U+FFFD; without it, half of a surrogate pair (`surrogateescape`).

    Raises:
        InputError: The file is not UTF-8 text.
    """
    check_text(path, other_letters=other_letters)
    errors = "replace" if other_letters else "surrogateescape"
    with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
        yield file


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file for its bytes.

    Raises:
        InputError: The file is missing, a folder, or may not be read.
    """
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
    """The error for a file of another format."""
    if kind.encoding:
        return InputError(
            f"not UTF-8 but {kind.name}.", where=str(path), remedy=_conversion(kind.encoding, path)
        )
    remedy = f"{kind.remedy} {_quoted(path)} > NEW." if kind.remedy.endswith("-dc") else kind.remedy
    return InputError(f"{kind.name} in place of text.", where=str(path), remedy=remedy)


def zero_byte(where: str) -> InputError:
    """The error for a zero byte, which text never has."""
    return InputError(
        "a zero byte: the file is damaged, or no text.", where=where, remedy="Fetch or write it again."
    )


def not_utf_8(byte: int, where: str, *, kind: FileFormat | None) -> InputError:
    """The error for a byte that is not UTF-8; names the encoding that it seems to be in."""
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
    """Lines with bytes that are not UTF-8, and a count of letters beyond ASCII that are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[bytes] = []
        self.first: tuple[int, int] | None = None
        """Line and byte."""
        self.count = self.sound = 0
        """Lines with a stray byte; letters that are UTF-8."""

    def add(self, block: bytes, line: int) -> None:
        """Examine a block of complete lines; `line` is the number of the first."""
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
        """Refuse a file in another encoding. A few stray bytes among more letters in UTF-8 are damage, and pass.

        Raises:
            InputError: The stray bytes are letters of another encoding.
        """
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
    """The encoding that letters beyond ASCII seem to be in; None where they look like damage."""
    sample = b"\n".join(lines)
    scores = {codec: _plausible(sample.decode(codec, "replace")) for codec, _, _ in EIGHT_BITS}
    codec = max(scores, key=lambda name: scores[name])
    if scores[codec] > 0:
        name, conversion = next((name, conversion) for key, name, conversion in EIGHT_BITS if key == codec)
        return FileFormat(f"as {name} writes it", "", conversion)
    return FileFormat("as another encoding writes it", "") if _has_words(sample) else None


def _plausible(text: str) -> int:
    """Characters beyond ASCII that fit a Western text, minus those that do not; a lone letter counts 0."""
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
    """True where words hold bytes beyond ASCII in more than one place."""
    return len(re.findall(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z\x80-\xff]", sample)) > 1


def readable_size(count: int) -> str:
    """A number of bytes as text, in decimal units.

    >>> readable_size(1_250_000)
    '1.2 MB'
    """
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
