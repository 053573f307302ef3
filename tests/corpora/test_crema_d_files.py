"""The votes file of CREMA-D after other programs have saved it: the same votes, or one error of the file."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.crema_d.votes import read_ballots
from lalm_ambig.corpora.reading.bad_rows import BadRows

HEADER = ["", "A", "D", "F", "H", "N", "S", "fileName", "numResponses"]
NAMED = ["Unnamed: 0", *HEADER[1:]]
ROWS: list[list[object]] = [
    ["100061", 6, 2, 0, 0, 1, 0, "1001_DFA_ANG_XX", 9],
    ["100062", 1, 4, 0, 1, 3, 0, "1001_DFA_DIS_XX", 9],
    ["200061", 5, 2, 0, 0, 3, 0, "1001_DFA_ANG_XX", 10],
    ["200062", 6, 2, 0, 0, 2, 0, "1001_DFA_DIS_XX", 10],
    ["300061", 8, 1, 0, 0, 0, 0, "1001_DFA_ANG_XX", 9],
    ["300062", 3, 6, 0, 0, 1, 0, "1001_DFA_DIS_XX", 10],
]
VOICE = {"1001_DFA_ANG_XX": (6, 2, 0, 0, 1, 0), "1001_DFA_DIS_XX": (1, 4, 0, 1, 3, 0)}


def written(
    header: Sequence[str] = HEADER,
    rows: Sequence[Sequence[object]] = ROWS,
    *,
    end: str = "\n",
    separator: str = ",",
) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=end, delimiter=separator).writerows([header, *rows])
    return text.getvalue()


def indexed(header: Sequence[str], name: str) -> str:
    """With the column that pandas puts in front."""
    return written([name, *header], [[61 + n, *row] for n, row in enumerate(ROWS)])


def with_votes(spell: str) -> str:
    return written(rows=[[row[0], *(vote or spell for vote in row[1:7]), *row[7:]] for row in ROWS])


def read(path: Path, content: str | bytes, *, skip: bool = False) -> dict[str, tuple[float, ...]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return {ballot.clip: ballot.votes for ballot in read_ballots(path, "voice", bad_rows=BadRows(skip=skip))}


SAME = {
    "as released": written(end="\r\n"),
    "CR": written(end="\r"),
    "pandas, with its index": indexed(NAMED, ""),
    "pandas, twice": indexed(["Unnamed: 0.1", *HEADER[1:]], "Unnamed: 0"),
    "pandas, without its index": written(NAMED),
    "an index with a name": indexed(NAMED, "index"),
    "R": written(["X", *HEADER[1:]]),
    "R, twice": indexed(["X", *HEADER[1:]], "X.1"),
    "readr": written(["...1", *HEADER[1:]]),
    "columns turned round": written(HEADER[::-1], [row[::-1] for row in ROWS]),
    "case and blanks": written(["", " a", "d ", "F", "h", "N", "S", "FILENAME", "numresponses"]),
    "floats": written(rows=[[f"{cell}.0" if at != 7 else cell for at, cell in enumerate(row)] for row in ROWS]),
    "blank for none": with_votes(" "),
    "NaN for none": with_votes("NaN"),
    "names of sound files": written(rows=[[*row[:7], f"{row[7]}.WAV", row[8]] for row in ROWS]),
    "marks of joined files": "\ufeff" + written().replace("100061", "\ufeff100061"),
    "without the sum": written(HEADER[:8], [row[:8] for row in ROWS]),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAME)
def test_saved_again_it_gives_the_same_votes(tmp_path: Path, kind: str) -> None:
    for skip in (False, True):
        assert read(tmp_path / "v.csv", SAME[kind], skip=skip) == VOICE


def changed(place: int, value: object) -> str:
    """Every row with another value there."""
    return written(rows=[[*row[:place], value, *row[place + 1 :]] for row in ROWS])


REFUSED = {
    "names lost": (written(HEADER[1:], [row[1:] for row in ROWS]), "v.csv:1: no column holds the rows' names"),
    "names numbered anew": (
        written(rows=[[n, *row[1:]] for n, row in enumerate(ROWS)]),
        "v.csv:1: no column holds the rows' names, .* six digits each",
    ),
    "two columns of names": (
        indexed(NAMED, "").replace("\n6", "\n10006"), "columns '' and 'Unnamed: 0' may both hold the rows' names"
    ),
    "column twice": (written([*HEADER, "A"], [[*row, 0] for row in ROWS]), "v.csv:1: column 'A' stands there twice"),
    "column numbered": (written([*HEADER, "A.1"], [[*row, 0] for row in ROWS]), "column 'A' stands there twice"),
    "no header": (written().partition("\n")[2], "missing column 'A'; .* is the header missing"),
    "header too short": (written(HEADER[1:]), "9 columns, but the header has 8.*; so are all 6 rows"),
    "semicolons": (written(separator=";"), "separated by semicolons"),
    "halves": (changed(1, "6.5"), "column 'A' must hold a count of votes, got '6.5'; so are all 2 rows"),
    "decimal commas": (changed(1, "6,0"), "column 'A' must hold a count of votes, got '6,0'; so are all 2 rows"),
    "truth values": (changed(3, True), "column 'F' must hold a count of votes, got 'True'; so are all 2 rows"),
    "columns moved": (changed(2, 5), "the votes of clip 1001_DFA_ANG_XX sum to 12, and numResponses is 9; so are all"),
    "a vote lost": (changed(2, ""), "the votes of clip 1001_DFA_ANG_XX sum to 7, and numResponses is 9; so are all"),
    "header alone": (written(rows=[]), "no row is of a clip that was judged by voice"),
    "another modality alone": (written(rows=ROWS[2:]), "no row is of a clip that was judged by voice"),
    "UTF-16": (written().encode("utf-16"), "v.csv: not UTF-8 but UTF-16"),
    "cp1252": (written([*HEADER, "remarqué"], [[*row, "é"] for row in ROWS]).encode("cp1252"), "as Windows-1252"),
    "gzip": (gzip.compress(written().encode()), "a gzip archive in place of text"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_change_votes_is_an_error_of_the_file_that_nothing_passes_over(
    tmp_path: Path, kind: str
) -> None:
    content, reason = REFUSED[kind]
    for skip in (False, True):
        with pytest.raises(InputError, match=reason) as raised:
            read(tmp_path / "v.csv", content, skip=skip)
        assert "skip_bad_rows" not in str(raised.value)


@pytest.mark.parametrize("cell", ["x", "-6", "1e1", "inf", "9" * 400, "٦", ""])
def test_a_single_vote_that_is_no_count_is_a_bad_row(tmp_path: Path, cell: str) -> None:
    rows = [[ROWS[0][0], cell, *ROWS[0][2:]], *ROWS[1:]]
    with pytest.raises(InputError, match=r"v\.csv:2: .*skip_bad_rows"):
        read(tmp_path / "v.csv", written(rows=rows))
    assert read(tmp_path / "v.csv", written(rows=rows), skip=True) == {
        "1001_DFA_DIS_XX": VOICE["1001_DFA_DIS_XX"]
    }


def test_an_open_quote_costs_its_own_row(tmp_path: Path) -> None:
    content = written().replace("100061,6", '100061,"6')
    assert read(tmp_path / "v.csv", content, skip=True) == {"1001_DFA_DIS_XX": VOICE["1001_DFA_DIS_XX"]}
