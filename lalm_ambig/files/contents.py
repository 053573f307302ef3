"""The format of a file by its first bytes, where it is not text: the name under which readers refuse it."""

import re
from dataclasses import dataclass

HEAD_BYTES = 4096
UTF_8_MARK = b"\xef\xbb\xbf"
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it: gzip -dc"),
    (b"BZh", "a bzip2 archive", "Unpack it: bzip2 -dc"),
    (b"\xfd7zXZ\0", "an xz archive", "Unpack it: xz -dc"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "Unpack it: zstd -dc"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of an old Office program (.xls)", "Save its sheet as CSV UTF-8."),
    (b"PAR1", "a Parquet table", ""),
    (b"ARROW1\0\0", "an Arrow table", ""),
    (b"FEA1", "a Feather table", ""),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", ""),
    (b"\x93NUMPY", "a NumPy array", ""),
    (b"%PDF-", "a PDF", ""),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)", ""),
    (b"\xff\xd8\xff", "a picture (JPEG)", ""),
    (b"RIFF", "a sound file (WAV)", ""),
    (b"fLaC", "a sound file (FLAC)", ""),
    (b"OggS", "a sound file (Ogg)", ""),
    (b"ID3", "a sound file (MP3)", ""),
    (b"\0\x05\x16\x07", "a leftover of macOS (AppleDouble)", "The file itself has the same name without ._ in front."),
    (b"\x80\x04\x95", "a Python pickle", ""),
)  # fmt: skip
"""First bytes, name of the format, and remedy (a command that writes to standard output ends with -dc)."""
ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06")
OFFICE = (
    (b"opendocument", "an OpenDocument file", "Save its sheet as CSV UTF-8."),
    (b"[Content_Types].xml", "an Office file (such as an Excel workbook)", "Save its sheet as CSV UTF-8."),
    (b"xl/", "an Excel workbook", "Save its sheet as CSV UTF-8."),
)
"""Bytes in a ZIP archive that tell an Office file: mark, name, remedy."""
PAGE = re.compile(rb"<(?:!doctype|html|head|body|\?xml|!--|svg|error\b)", re.IGNORECASE)
POINTERS = (
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the file itself: git lfs pull."),
    (b"/annex/objects/", "a git-annex pointer", "Fetch the file itself: git annex get."),
)
AGAIN = "Download the file again."
WIDE_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32", "UTF-32"),
    (b"\xff\xfe", "UTF-16", "UTF-16"),
    (b"\xfe\xff", "UTF-16", "UTF-16"),
)
"""Byte order marks, longest first: encoding, and its name for iconv."""
MOSTLY = 0.4
"""Smallest share of zero bytes at every second position of a UTF-16 text.

ASCII has 1. Texts in other scripts have some in their blanks, digits and line ends."""


@dataclass(frozen=True)
class FileFormat:
    """Format of a file that is not UTF-8 text."""

    name: str
    """With its article, such as `a gzip archive`; an encoding has none."""
    remedy: str
    encoding: str = ""
    """Name for iconv, for text in another encoding."""


def format_of(head: bytes) -> FileFormat | None:
    """Recognise a format by its first bytes.

    Args:
        head: The first HEAD_BYTES of a file.

    Returns:
        The format; None for bytes that may be UTF-8 text or are unknown.
    """
    for start, name, remedy in SIGNATURES:
        if head.startswith(start):
            return FileFormat(name, remedy)
    if head.startswith(ARCHIVES):
        kinds = (FileFormat(name, remedy) for mark, name, remedy in OFFICE if mark in head)
        return next(kinds, FileFormat("a ZIP archive", "Unpack it."))
    for start, name, remedy in POINTERS:
        if head.startswith(start):
            return FileFormat(name, remedy)
    if PAGE.match(head.removeprefix(UTF_8_MARK).lstrip()):
        return FileFormat("an HTML or XML page", AGAIN)
    return _wide_text(head)


def _wide_text(head: bytes) -> FileFormat | None:
    """UTF-16 or UTF-32, by the byte order mark or by where the zero bytes are."""
    for mark, name, codec in WIDE_MARKS:
        if head.startswith(mark):
            return FileFormat(name, "", codec)
    if b"\0" not in head:
        return None
    padded = head[: len(head) // 4 * 4] or head + bytes(-len(head) % 4)
    zeros = [padded[place::4].count(0) / max(1, len(padded) // 4) for place in range(4)]
    for codec, filled in (("UTF-32LE", (0,)), ("UTF-32BE", (3,)), ("UTF-16LE", (0, 2)), ("UTF-16BE", (1, 3))):
        empty = [share for place, share in enumerate(zeros) if place not in filled]
        full = [zeros[place] for place in filled]
        least = 1 - MOSTLY if codec.startswith("UTF-32") else MOSTLY
        if min(empty) >= least and max(full) < min(empty) / 4:
            return FileFormat(codec[:6], "", codec)
    return None
