"""Rows of JSON Lines: every malformed one with its file and line, left out where asked for, never a crash."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalm_ambig.corpora.json_objects import json_object
from lalm_ambig.corpora.jsonl import JsonLines
from lalm_ambig.corpora.jsonl_rows import KEYS, parsed_row
from lalm_ambig.errors import InputError
from lalm_ambig.items import SPLITS, Item

ROW = {"id": "a", "text": "hello", "votes": {"yes": 2, "no": 1}}


def write(folder: Path, *rows: object) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path, **options: Any) -> list[Item]:
    return list(JsonLines(path, **options).read())


MALFORMED = {
    "not json": ("{oops", "not JSON: Expecting property name"),
    "list": ([1], "a row must be a JSON object, got list"),
    "id": ({"text": "x", "votes": {"yes": 1}}, 'a row needs an "id" that is a text'),
    "number id": ({**ROW, "id": 3}, 'a row needs an "id" that is a text'),
    "twice": (ROW, "id 'a' was used before, in line 2"),
    "nothing to judge": ({"id": "b", "votes": {"yes": 1}}, 'item \'b\' has neither "audio" nor "text"'),
    "text": ({**ROW, "id": "b", "text": 3}, "\"text\" of item 'b' must be a text, got 3"),
    "rationale": ({**ROW, "id": "b", "rationale": " "}, "\"rationale\" of item 'b' must be a text"),
    "no votes": ({"id": "b", "text": "x"}, "item 'b' needs \"votes\": an object of class and count"),
    "zero votes": ({**ROW, "id": "b", "votes": {"yes": 0}}, "item 'b' has no votes: they sum to 0"),
    "negative": (
        {**ROW, "id": "b", "votes": {"yes": -1}},
        "votes for 'yes' must be a number from 0 to 1,000,000, got -1",
    ),
    "nan": (
        '{"id": "b", "text": "x", "votes": {"yes": NaN}}',
        "votes for 'yes' must be a number from 0 to 1,000,000, got nan",
    ),
    "bool": (
        {**ROW, "id": "b", "votes": {"yes": True}},
        "votes for 'yes' must be a number from 0 to 1,000,000, got True",
    ),
    "overflow": (
        {**ROW, "id": "b", "votes": {"yes": 10**400}},
        "votes for 'yes' must be a number from 0 to 1,000,000, got 1000",
    ),
    "vanishing": ({**ROW, "id": "b", "votes": {"yes": 1e-50}}, "item 'b' has no votes: they sum to 1e-50"),
    "nameless": ({**ROW, "id": "b", "votes": {" ": 1}}, "item 'b' has votes for a class without a name"),
    "deep": ("[" * 100_000, "not JSON that can be read: a number too long or brackets too deep"),
    "digits": ("9" * 5_000, "not JSON that can be read: a number too long or brackets too deep"),
    "half a pair": ({**ROW, "id": "\ud800"}, "not Unicode text: 'utf-8' codec can't encode"),
    "class": ({**ROW, "id": "b", "votes": {"Yes": 1}}, "votes for unknown class 'Yes': expected yes, no"),
    "split": (
        {**ROW, "id": "b", "split": "dev"},
        "\"split\" must be one of train, validation, test, got 'dev'",
    ),
    "some split": ({**ROW, "id": "b", "split": "train"}, "some rows have a split and some have none"),
}


ALWAYS_AN_ERROR = {"some split"}
"""What no setting leaves out, because it is the file that is wrong and not one row."""


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_row_is_one_error_with_file_and_line(tmp_path: Path, kind: str) -> None:
    row, reason = MALFORMED[kind]
    path = write(tmp_path, {"categories": ["yes", "no"]}, ROW, row)
    with pytest.raises(InputError, match=rf"items\.jsonl:3: {reason}") as raised:
        read(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < len(str(path)) + 250


@pytest.mark.parametrize("kind", sorted(MALFORMED.keys() - ALWAYS_AN_ERROR))
def test_where_asked_for_a_malformed_row_is_left_out_and_listed_once(tmp_path: Path, kind: str) -> None:
    row, reason = MALFORMED[kind]
    path = write(tmp_path, {"categories": ["yes", "no"]}, ROW, row, {**ROW, "id": "z"})
    corpus = JsonLines(path, skip_bad_rows=True)
    assert [[item.id for item in corpus.read()] for _ in range(3)] == [["a", "z"]] * 3
    for notes in (corpus.notes(), corpus.notes()):
        assert notes[2] == "1 bad rows left out (2 kept):"
        assert re.match(rf".*items\.jsonl:3: {reason}", notes[3])
        assert len(notes) == 4


def test_rows_with_and_without_a_split_in_one_file_are_an_error_whatever_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, ROW, {**ROW, "id": "b", "split": "train"})
    with pytest.raises(InputError, match=r"items\.jsonl:2: some rows have a split and some have none"):
        read(path, skip_bad_rows=True)


def test_a_bad_row_left_out_takes_no_part_in_classes_splits_or_given_splits(tmp_path: Path) -> None:
    rows = [{**ROW, "id": str(n)} for n in range(50)]
    odd = {**ROW, "id": 3, "votes": {"maybe": 1}, "split": "test", "speaker": "s"}
    with_bad = JsonLines(write(tmp_path, *rows[:20], odd, *rows[20:]), skip_bad_rows=True)
    assert with_bad.categories.names == ("no", "yes")
    found = list(with_bad.read())
    assert found == list(JsonLines(write(tmp_path, *rows)).read())


def test_the_setting_may_change_after_a_first_look(tmp_path: Path) -> None:
    corpus = JsonLines(write(tmp_path, ROW, "{oops", {**ROW, "id": "b"}))
    with pytest.raises(InputError, match=r"items\.jsonl:2: not JSON"):
        _ = corpus.categories
    corpus.skip_bad_rows = True
    assert corpus.categories.names == ("no", "yes")
    assert len(list(corpus.read())) == 2
    assert corpus.settings()["skip_bad_rows"] is True
    corpus.skip_bad_rows = False
    with pytest.raises(InputError, match=r"items\.jsonl:2: not JSON"):
        corpus.notes()


def test_a_first_line_that_cannot_be_read_is_an_error_even_then(tmp_path: Path) -> None:
    path = write(tmp_path, '{"categories": ["yes", "no"', ROW)
    with pytest.raises(InputError, match=r"items\.jsonl:1: not JSON"):
        read(path, skip_bad_rows=True)


def test_a_file_of_bad_rows_alone_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, {"categories": ["yes", "no"]}, {"id": "a"}, {**ROW, "votes": {"yes": "many"}})
    with pytest.raises(InputError, match=r"items\.jsonl: all 2 rows are bad; the first: .*jsonl:2: item 'a'"):
        read(path, skip_bad_rows=True)


def test_bytes_that_are_no_text_are_a_bad_row_and_a_byte_order_mark_is_none(tmp_path: Path) -> None:
    path = write(tmp_path, ROW, {**ROW, "id": "b"})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b'{"id": "\xff"}\r\n')
    with pytest.raises(InputError, match=r"items\.jsonl:3: not Unicode text: 'utf-8' codec"):
        read(path)
    assert len(read(path, skip_bad_rows=True)) == 2


def test_one_class_alone_is_an_error_that_says_how_to_declare_more(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"items\.jsonl: the classes are the .* at least 2 .* Declare them"):
        read(write(tmp_path, {**ROW, "votes": {"yes": 1}}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(SPLITS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from((*KEYS, "other")), JSON_VALUES))
def test_any_object_is_a_row_with_finite_votes_or_an_input_error(values: dict[str, Any]) -> None:
    try:
        row = parsed_row(json_object(json.dumps(values).encode()), "f:1")
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert row.id.strip()
    assert 0 < sum(row.votes.values()) < math.inf
    assert row.audio or row.text


@given(st.binary(max_size=40))
def test_any_bytes_are_an_object_or_an_input_error(line: bytes) -> None:
    try:
        values = json_object(line)
    except InputError as error:
        assert str(error).startswith(("not JSON", "not Unicode", "a row must be a JSON object"))
    else:
        assert values == json.loads(line.decode())
