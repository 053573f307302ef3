"""Rows of GoEmotions: every malformed one with its file and line, left out where asked for, never a crash."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.goemotions import HEADER, LABELS, row, write_csv

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.goemotions.corpus import GoEmotions
from lalm_ambig.corpora.goemotions.rows import EKMAN


def read(root: Path, **options: Any) -> list[Item]:
    return list(GoEmotions(root, **options).read())


GOOD = [row("a", "fine", rater=rater, labels="joy") for rater in (1, 2, 3)]
MALFORMED = {
    "two": ({"joy": 2}, "column 'joy' must be 0 or 1, got '2'"),
    "no number": ({"fear": "yes"}, "column 'fear' must be 0 or 1, got 'yes'"),
    "empty label": ({"neutral": ""}, "column 'neutral' must be 0 or 1, got ''"),
    "fraction": ({"love": "0.5"}, "column 'love' must be 0 or 1, got '0.5'"),
    "true": ({"love": "True"}, "column 'love' must be 0 or 1, got 'True'"),
    "no label": ({"love": ""}, "column 'love' must be 0 or 1, got ''"),
    "flag": (
        {"example_very_unclear": "maybe"},
        "column 'example_very_unclear' must be True or False, got 'maybe'",
    ),
    "contradiction": (
        {"example_very_unclear": "True"},
        "it is marked as very unclear and has a label, 'joy'",
    ),
    "text": ({"text": " "}, "column 'text' is empty"),
    "id": ({"id": ""}, "column 'id' is empty"),
    "rater": ({"rater_id": ""}, "column 'rater_id' is empty"),
    "no rater": ({"rater_id": "NaN"}, "column 'rater_id' is empty"),
    "other text": ({"text": "another"}, "the text of id 'a' is not the one it has in {path}:2"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_row_is_one_error_with_file_and_line_or_left_out(tmp_path: Path, kind: str) -> None:
    change, reason = MALFORMED[kind]
    path = write_csv(tmp_path / "goemotions_1.csv", [*GOOD, {**GOOD[0], **change, "rater_id": 4, **change}])
    reason = reason.format(path=path)
    with pytest.raises(InputError, match=re.escape(f"{path}:5: {reason}. --option skip_bad_rows=true")):
        read(path)
    corpus = GoEmotions(path, skip_bad_rows=True)
    assert [item.votes for item in corpus.read()] == [(0, 0, 0, 3, 0, 0, 0)]
    assert list(corpus.notes())[-2:] == ["1 bad rows left out (3 kept):", f"{path}:5: {reason}"]


def test_a_file_cut_in_mid_row_is_named_with_the_line_where_the_row_begins(tmp_path: Path) -> None:
    long = row("b", 'two "lines"\nof text, and more', rater=1, labels="fear")
    path = write_csv(tmp_path / "goemotions_1.csv", [*GOOD, long])
    whole = path.read_bytes()
    ends = len(whole) - len(b"\r\n")
    begins = whole.rindex(b'"two')
    for end in range(begins + 1, ends):
        path.write_bytes(whole[:end])
        with pytest.raises(
            InputError,
            match=rf"{path}:5: .*(is the row cut|the row cut\?|a quote is still open|must be 0 or 1, got '')",
        ):
            read(path, min_raters=1)
        assert len(read(path, min_raters=1, skip_bad_rows=True)) == 1
    path.write_bytes(whole[:ends])
    assert len(read(path, min_raters=1)) == 2


def test_a_row_after_a_text_of_several_lines_is_named_by_its_own_line(tmp_path: Path) -> None:
    rest = [
        row("b", "one\ntwo\nthree", rater=1, labels="fear"),
        row("c", "x", rater=1, labels="fear") | {"joy": 7},
    ]
    path = write_csv(tmp_path / "goemotions_1.csv", rest)
    with pytest.raises(InputError, match=rf"{path}:5: column 'joy' must be 0 or 1"):
        read(path)


def test_a_broken_byte_is_a_bad_row_and_another_encoding_is_the_files(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "goemotions_1.csv", [*GOOD, row("b", "na\u00efve", rater=1, labels="fear")])
    path.write_bytes(path.read_bytes().replace("\u00ef".encode(), b"\xef"))
    for skip_bad_rows in (False, True):
        with pytest.raises(
            InputError, match=rf"{path}:5: not UTF-8: the byte 0xef, as Windows-1252 or .*iconv"
        ):
            read(path, skip_bad_rows=skip_bad_rows)
    path.write_bytes(path.read_bytes().replace(b"\xef", b"\xff"))
    with pytest.raises(InputError, match=rf"{path}:5: column 'text' is not Unicode text.*skip_bad_rows"):
        read(path)
    assert len(read(path, skip_bad_rows=True)) == 1


def test_a_quote_that_ends_too_early_is_a_bad_row(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "goemotions_1.csv", [*GOOD, row("b", "yes, no", rater=1, labels="fear")])
    path.write_bytes(path.read_bytes().replace(b'"yes, no"', b'"yes" no'))
    with pytest.raises(InputError, match=rf"{path}:5: not CSV: "):
        read(path)
    assert len(read(path, min_raters=1, skip_bad_rows=True)) == 1


def test_too_many_columns_are_a_bad_row_and_blank_lines_are_none(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "goemotions_1.csv", GOOD)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n\r\n")
    assert [item.votes for item in read(path)] == [(0, 0, 0, 3, 0, 0, 0)]
    path.write_bytes(path.read_bytes() + b",".join([b"0"] * 38))
    with pytest.raises(InputError, match=rf"{path}:7: 38 columns, but the header has 37"):
        read(path)


def test_a_header_without_a_column_is_an_error_even_where_bad_rows_are_left_out(tmp_path: Path) -> None:
    header = [name for name in GOOD[0] if name != "remorse"]
    path = write_csv(tmp_path / "goemotions_1.csv", GOOD, header=header)
    with pytest.raises(
        InputError, match=rf"{path}:1: missing column 'remorse'; the file has text, id, author"
    ):
        read(path, skip_bad_rows=True)
    path = write_csv(tmp_path / "goemotions_1.csv", GOOD, header=[*GOOD[0], "joy"])
    with pytest.raises(InputError, match="column 'joy' stands there twice"):
        read(path, skip_bad_rows=True)
    path.write_text("")
    with pytest.raises(InputError, match="the file is empty"):
        read(path)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "goemotions_1.csv"


def check(path: Path) -> None:
    """Items or one line, whatever is in the file."""
    for skip_bad_rows in (False, True):
        try:
            items = read(path, min_raters=1, skip_bad_rows=skip_bad_rows)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        for item in items:
            assert set(item.votes) <= {float(n) for n in range(10)}
            assert any(item.votes)
            assert item.id.encode()
            assert item.text is not None
            assert item.text.encode()


HEADER_LINE = ",".join(HEADER).encode() + b"\r\n"
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b'"', b",", b"\r\n", b"\n", b"1", b"True", b'""', b"a,", b"\x00", b"\xff"]),
)


@settings(deadline=None)
@given(
    content=st.one_of(st.binary(max_size=400), st.lists(PIECES, max_size=90).map(b"".join)),
    header=st.booleans(),
)
def test_any_content_is_items_or_one_line(scratch: Path, content: bytes, header: bool) -> None:
    scratch.write_bytes(HEADER_LINE * header + content)
    check(scratch)


@settings(deadline=None)
@given(data=st.data())
def test_good_rows_with_some_bytes_changed_are_items_or_one_line(scratch: Path, data: st.DataObject) -> None:
    write_csv(scratch, [*GOOD, row("b", 'two "lines"\nof text', rater=1, labels="fear anger")])
    content = bytearray(scratch.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 30))] = data.draw(PIECES)
    scratch.write_bytes(content)
    check(scratch)


@settings(deadline=None)
@given(
    cells=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
            st.text("ab", min_size=1, max_size=1),
            st.integers(0, 3),
            st.sets(st.sampled_from(LABELS)),
        )
    )
)
def test_well_formed_rows_are_read_as_they_were_written(
    scratch: Path, cells: list[tuple[str, str, int, set[str]]]
) -> None:
    texts = {name: text for text, name, _, _ in cells if text.strip()}
    said = [(name, rater, " ".join(labels)) for _, name, rater, labels in cells if name in texts]
    write_csv(scratch, [row(name, texts[name], rater=rater, labels=labels) for name, rater, labels in said])
    expected: dict[str, set[tuple[int, str]]] = {}
    for name, rater, labels in said:
        for group, members in EKMAN.items():
            if set(members) & set(labels.split()):
                expected.setdefault(name, set()).add((rater, group))
    found = read(scratch, min_raters=1) if expected else []
    assert {item.id: item.votes for item in found} == {
        name: tuple(float(sum(got == group for _, got in pairs)) for group in EKMAN)
        for name, pairs in expected.items()
    }
    assert all(item.text == texts[item.id].strip() for item in found)


def test_numbers_that_became_floats_are_the_same_raters_and_labels(tmp_path: Path) -> None:
    said = [row("a", "fine", rater=rater, labels="joy") for rater in (1, 2, 3)]
    floats = [{**one, "rater_id": f"{one['rater_id']}.0", "joy": "1.0", "fear": "0.0"} for one in said]
    path = write_csv(tmp_path / "goemotions_1.csv", [*said, *floats])
    assert [item.votes for item in read(path)] == [(0, 0, 0, 3, 0, 0, 0)]
