"""CSV and JSON Lines from elsewhere: the votes that are in them, some rows less, or one line; never other votes."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import goemotions
from mutation import mutated, outcome

from lalm_ambig.corpora.crema_d.votes import VOTE_COLUMNS, read_ballots
from lalm_ambig.corpora.goemotions.corpus import GoEmotions
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.json_lines import json_object, numbered_lines
from lalm_ambig.files.text import check_text, read_text
from lalm_ambig.files.yaml import read_yaml

HEADER = ["", *VOTE_COLUMNS, "fileName", "numResponses"]
VOTES = [
    ["100061", 6, 2, 0, 0, 1, 0, "1001_DFA_ANG_XX", 9],
    ["100062", 1, 4, 0, 1, 3, 0, "1001_DFA_DIS_XX", 9],
    ["100063", 0, 0, 0, 7, 3, 0, "1002_IEO_HAP_LO", 10],
    ["200061", 5, 2, 0, 0, 3, 0, "1001_DFA_ANG_XX", 10],
    ["300062", 3, 6, 0, 0, 1, 0, "1001_DFA_DIS_XX", 10],
]
VOICE = {row[7]: tuple(row[1:7]) for row in VOTES[:3]}
CLIPS = tuple(VOICE)


def table(rows: list[list[object]], **options: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, **options).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables") / "votes.csv"


Resaving = Callable[[list[list[object]]], list[list[object]]]


def with_index(rows: list[list[object]]) -> list[list[object]]:
    return [["" if n == 0 else n + 60, *row] for n, row in enumerate(rows)]


def turned(rows: list[list[object]]) -> list[list[object]]:
    return [row[::-1] for row in rows]


def as_floats(rows: list[list[object]]) -> list[list[object]]:
    return [[float(cell) if isinstance(cell, int) else cell for cell in row] for row in rows]


def without_names(rows: list[list[object]]) -> list[list[object]]:
    return [row[1:] for row in rows]


def numbered_anew(rows: list[list[object]]) -> list[list[object]]:
    return [rows[0], *([n, *row[1:]] for n, row in enumerate(rows[1:]))]


RESAVED: tuple[Resaving, ...] = (with_index, turned, as_floats, without_names, numbered_anew, list)
CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "cp1252")


@given(
    st.lists(st.sampled_from(RESAVED), max_size=3),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.sampled_from((",", ";", "\t")),
    st.sampled_from(CODECS),
    st.booleans(),
)
def test_votes_of_crema_d_saved_by_other_programs_are_the_same_or_refused(
    path: Path, steps: list[Resaving], end: str, separator: str, codec: str, skip: bool
) -> None:
    rows: list[list[object]] = [[*HEADER], *VOTES]
    for step in steps:
        rows = step(rows)
    path.write_bytes(table(rows, lineterminator=end, delimiter=separator).decode().encode(codec))
    ballots = outcome(lambda: read_ballots(path, "voice", bad_rows=BadRows(skip=skip)))
    assert ballots is None or {ballot.clip: ballot.votes for ballot in ballots} == VOICE
    if (
        set(steps) <= {turned, as_floats, list}
        and separator == ","
        and codec in ("utf-8", "utf-8-sig", "cp1252")
    ):
        assert ballots is not None


@given(content=mutated([table([[*HEADER], *VOTES])]), skip=st.booleans())
def test_a_damaged_votes_file_of_crema_d_gives_counts_that_sum_to_what_it_says(
    path: Path, content: bytes, skip: bool
) -> None:
    path.write_bytes(content)
    for ballot in outcome(lambda: read_ballots(path, "voice", bad_rows=BadRows(skip=skip))) or ():
        assert len(ballot.votes) == len(VOTE_COLUMNS)
        assert all(vote >= 0 and vote == int(vote) for vote in ballot.votes)
        assert 0 < sum(ballot.votes) < 1e7
        assert ballot.transcript


@given(data=st.data())
def test_a_stray_quote_in_any_place_changes_no_votes(path: Path, data: st.DataObject) -> None:
    content = table([[*HEADER], *VOTES]).decode()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(content.index("\n"), len(content)))
        content = f'{content[:at]}"{content[at:]}'
    path.write_text(content, newline="")
    bad_rows = BadRows(skip=True)
    ballots = outcome(lambda: read_ballots(path, "voice", bad_rows=bad_rows))
    if ballots is not None:
        assert {ballot.clip: ballot.votes for ballot in ballots}.items() <= VOICE.items()
        assert len(ballots) + len(bad_rows.lines) >= len(VOICE)


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, tuple[float, ...]]]:
    """A file of GoEmotions, and the votes in it."""
    path = goemotions.write_csv(tmp_path_factory.mktemp("comments") / "goemotions_1.csv", goemotions.rows())
    return path.read_bytes(), {item.id: item.votes for item in GoEmotions(path, min_raters=1).read()}


@given(data=st.data())
def test_a_stray_quote_gives_no_rater_of_goemotions_another_label(
    path: Path, data: st.DataObject, comments: tuple[bytes, dict[str, tuple[float, ...]]]
) -> None:
    content, expected = comments
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(content.index(b"\n"), len(content)))
        content = content[:at] + b'"' + content[at:]
    path.write_bytes(content)
    items = outcome(lambda: list(GoEmotions(path, min_raters=1, skip_bad_rows=True).read()))
    for item in items or ():
        if item.id in expected:
            assert all(vote <= most for vote, most in zip(item.votes, expected[item.id], strict=True))


TEXTS = (
    "id,text\n1,C'était naïve\n2,“hello” – l’été\n".encode(),
    "a: 1\nb: {c: [d, 'é']}\n".encode(),
    '{"id": "a", "text": "naïve"}\n{"id": "b", "votes": {"yes": 1}}\n'.encode(),
)


@given(content=mutated(TEXTS), codec=st.sampled_from(CODECS))
def test_a_text_is_utf_8_or_refused(path: Path, content: bytes, codec: str) -> None:
    path.write_bytes(
        content.decode("utf-8", "replace").encode(codec, "replace") if codec != "utf-8" else content
    )
    outcome(lambda: check_text(path))
    outcome(lambda: read_yaml(path))
    if (text := outcome(lambda: read_text(path))) is not None:
        assert "\r" not in text
        assert "\0" not in text
        text.encode()


@given(content=mutated(TEXTS[2:]), whole=st.booleans())
def test_lines_are_objects_or_refused(path: Path, content: bytes, whole: bool) -> None:
    path.write_bytes(content)
    for where, line in outcome(lambda: list(numbered_lines(path, complete=whole))) or ():
        assert where.startswith(f"{path}:")
        assert line.strip() == line != b""
        values = outcome(lambda line=line: json_object(line))  # type: ignore[misc]
        assert values is None or isinstance(values, dict)
