"""Text files: UTF-8 with any ends of lines; whatever else a file is, it is refused by its name."""

import gzip
import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.text import check_text, open_lines, read_text

FRENCH = "id,texte\n1,C'était naïve, déjà vu\n2,“oui” – l’été\n3,plain\n"
GERMAN = "id,text\n1,Grüße aus München\n2,schön\n"
RUSSIAN = "id,text\n1,Привет мир\n2,как дела\n"
JAPANESE = "id,text\n1,こんにちは世界\n2,日本語のテキスト\n"
TURKISH = "id,text\n1,ışığı güneş\n"


def workbook() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    return content.getvalue()


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a.csv", "id\n1\n")
    return content.getvalue()


KINDS = {
    "UTF-16": (FRENCH.encode("utf-16"), r"not UTF-8 but UTF-16\. .*iconv -f UTF-16 -t"),
    "UTF-16 BE": (b"\xfe\xff" + FRENCH.encode("utf-16-be"), r"not UTF-8 but UTF-16\. .*iconv -f UTF-16 -t"),
    "UTF-16 without mark": (FRENCH.encode("utf-16-le"), r"not UTF-8 but UTF-16\. .*iconv -f UTF-16LE"),
    "UTF-16 BE without mark": (GERMAN.encode("utf-16-be"), r"not UTF-8 but UTF-16\. .*iconv -f UTF-16BE"),
    "UTF-16 of few ASCII": (RUSSIAN.encode("utf-16-le"), r"not UTF-8 but UTF-16\. .*iconv -f UTF-16LE"),
    "UTF-32": (FRENCH.encode("utf-32"), r"not UTF-8 but UTF-32\. .*iconv -f UTF-32 -t"),
    "UTF-32 without mark": (FRENCH.encode("utf-32-be"), r"not UTF-8 but UTF-32\. .*iconv -f UTF-32BE"),
    "cp1252": (FRENCH.encode("cp1252"), r":2: not UTF-8: the byte 0xe9, as Windows-1252 or .*iconv -f CP1252"),
    "Latin-1": (GERMAN.encode("latin-1"), r":2: not UTF-8: the byte 0xfc, as Windows-1252 or Latin-1"),
    "quotes of Word": ("a\nit’s\n".encode("cp1252"), r":2: not UTF-8: the byte 0x92, as Windows-1252"),
    "MacRoman": (FRENCH.encode("mac_roman"), r":2: not UTF-8: the byte 0x8e, as Mac Roman .*iconv -f MACINTOSH"),
    "MacRoman of German": (GERMAN.encode("mac_roman"), r":2: not UTF-8: the byte 0x9f, as Mac Roman"),
    "cp1251": (RUSSIAN.encode("cp1251"), r":2: not UTF-8: the byte 0xcf, as another encoding writes it"),
    "KOI8-R": (RUSSIAN.encode("koi8-r"), r":2: not UTF-8: the byte 0xf0, as another encoding writes it"),
    "Shift-JIS": (JAPANESE.encode("shift-jis"), r":2: not UTF-8: the byte 0x82, as another encoding writes it"),
    "cp1254": (TURKISH.encode("cp1254"), r":2: not UTF-8: the byte 0xfd, as another encoding writes it"),
    "gzip": (gzip.compress(b"a,b\n"), r"a gzip archive in place of text\. Unpack it: gzip -dc .* > NEW\."),
    "zip": (archive(), r"a ZIP archive in place of text\. Unpack it\."),
    "xlsx": (workbook(), r"an Office file \(such as an Excel workbook\) in place of text\. Save its sheet as CSV"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"a workbook of an old Office program"),
    "parquet": (b"PAR1\x15\x04", "a Parquet table in place of text"),
    "page": (b"\xef\xbb\xbf\r\n <!DOCTYPE html><html>", "an HTML or XML page in place of text"),
    "XML": (b'<?xml version="1.0"?><Error>', "an HTML or XML page in place of text"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer in place of text.*git lfs pull"),
    "empty": (b"", "the file is empty"),
    "blank": (b"\xef\xbb\xbf \r\n\n", "the file is empty"),
    "zero byte": (b"a,b\n1,\x002\n", ":2: a zero byte"),
    "zeros at the end": (b"a,b\r1,2\r" + bytes(99), ":3: a zero byte"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_no_utf_8_text_is_named_in_one_line(tmp_path: Path, kind: str) -> None:
    content, expected = KINDS[kind]
    path = tmp_path / "a table.csv"
    path.write_bytes(content)
    for read in (check_text, read_text):
        with pytest.raises(
            InputError, match=rf"a table\.csv'?{expected if expected[0] == ':' else f': {expected}'}"
        ) as raised:
            read(path)
        assert "\n" not in str(raised.value)


def test_the_command_that_an_error_gives_mends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "it's.csv"
    for codec in ("utf-16", "utf-16-be", "utf-32-le", "cp1252", "mac_roman"):
        path.write_bytes(FRENCH.encode(codec))
        with pytest.raises(InputError) as raised:
            check_text(path)
        command = str(raised.value).partition("or: ")[2].removesuffix(" > NEW.")
        mended = subprocess.run(command, shell=True, capture_output=True, check=True).stdout
        assert mended.decode("utf-8-sig") == FRENCH


@pytest.mark.parametrize("text", [FRENCH, GERMAN, RUSSIAN, JAPANESE, TURKISH, "<<: {a: 1}\n", "BZ: 1\n", "x"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_utf_8_is_read_with_any_ends_of_lines_and_any_marks(tmp_path: Path, text: str, end: str) -> None:
    path = tmp_path / "a.csv"
    for mark in ("", "\ufeff", "\ufeff\ufeff"):
        path.write_bytes((mark + text).replace("\n", end).encode())
        check_text(path)
        assert read_text(path) == text


def test_one_broken_byte_is_left_to_the_reader_of_rows_and_refused_in_a_whole_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(FRENCH.encode() + b"4,\xff\n")
    with open_lines(path) as lines:
        assert list(lines)[-1] == "4,\udcff\n"
    with open_lines(path, other_letters=True) as lines:
        assert list(lines)[-1] == "4,\ufffd\n"
    with pytest.raises(InputError, match=r"a\.csv:5: not UTF-8: the byte 0xff stands alone"):
        read_text(path)
    assert read_text(path, other_letters=True).endswith("4,\ufffd\n")


def test_a_row_in_another_encoding_among_many_in_utf_8_is_no_fault_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(FRENCH.encode() * 3 + GERMAN.encode("latin-1").split(b"\n")[1] + b"\n")
    check_text(path)
    path.write_bytes(GERMAN.encode() + FRENCH.encode("latin-1", "replace") * 9)
    with pytest.raises(InputError, match=r"a\.csv:5: not UTF-8: the byte 0xe9, as Windows-1252"):
        check_text(path)


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "it is a folder"), (tmp_path / "none", "cannot be read: No such file")):
        with pytest.raises(InputError, match=reason):
            check_text(path)
    with pytest.raises(InputError, match="cannot be read: embedded null"):
        check_text(Path("a\0b"))
