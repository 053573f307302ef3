"""Rows of JSON Lines: every malformed one with its file and line, left out where asked for, never a crash."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS, Item
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.jsonl.rows import KEYS, parse_row
from lalm_ambig.files.json_lines import json_object

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
    "id": ({"text": "x", "votes": {"yes": 1}}, 'a row needs an "id": a text or a whole number'),
    "blank id": ({**ROW, "id": " "}, 'a row needs an "id": a text or a whole number'),
    "part id": ({**ROW, "id": 3.5}, '"id" must be a text or a whole number, got 3.5: write "id": "3.5"'),
    "true id": ({**ROW, "id": True}, '"id" must be a text or a whole number, got True: write "id": "true"'),
    "boxed id": (
        {**ROW, "id": ["b"]},
        r'"id" must be a text or .*, got \[\'b\'\]: write it without the list',
    ),
    "speaker": (
        {**ROW, "id": "b", "speaker": 0.5},
        '"speaker" must be a text or a whole number, got 0.5: write "speaker": "0.5"',
    ),
    "twice": (ROW, "id 'a' was used before, in line 2"),
    "nothing to judge": ({"id": "b", "votes": {"yes": 1}}, 'item \'b\' has neither "audio" nor "text"'),
    "text": ({**ROW, "id": "b", "text": 3}, '"text" of item \'b\' must be a text, got 3: write "text": "3"'),
    "blank": ({"id": "b", "text": " ", "votes": {"yes": 1}}, 'item \'b\' has neither "audio" nor "text"'),
    "no votes": ({"id": "b", "text": "x"}, "item 'b' needs \"votes\": an object of class and count"),
    "list of votes": ({**ROW, "id": "b", "votes": ["yes"]}, r"item 'b' needs \"votes\": .*, got \['yes'\]"),
    "null votes alone": ({**ROW, "id": "b", "votes": {"yes": None}}, "item 'b' has no votes: they sum to 0"),
    "two forms": (
        {**ROW, "id": "b", "votes": {"yes": 1, "Yes ": 2}},
        "item 'b' has votes for one class twice: 'yes' and 'Yes '",
    ),
    "two Unicode forms": (
        {**ROW, "id": "b", "votes": {"\u00e9": 1, "e\u0301": 2}},
        r"item 'b' has votes for one class twice: '\\xe9' and 'e\\u0301'",
    ),
    "key twice": (
        '{"id": "b", "text": "x", "votes": {"yes": 1, "yes": 2}}',
        "not JSON .* has the key 'yes' twice",
    ),
    "zero votes": ({**ROW, "id": "b", "votes": {"yes": 0}}, "item 'b' has no votes: they sum to 0"),
    "negative": (
        {**ROW, "id": "b", "votes": {"yes": -1}},
        "votes for 'yes' must be a number from 0 to 1,000,000, got -1",
    ),
    "nan": ('{"id": "b", "text": "x", "votes": {"yes": NaN}}', "item 'b' has no votes: they sum to 0"),
    "infinite": (
        '{"id": "b", "text": "x", "votes": {"yes": Infinity}}',
        "votes for 'yes' must be a number from 0 to 1,000,000, got inf",
    ),
    "bool": (
        {**ROW, "id": "b", "votes": {"yes": True}},
        "votes for 'yes' must be a number from 0 to 1,000,000, got True: write 1",
    ),
    "quoted": (
        {**ROW, "id": "b", "votes": {"yes": "3"}},
        "votes for 'yes' must be a number .*, got '3': write a number without quotes, or null",
    ),
    "boxed": (
        {**ROW, "id": "b", "votes": {"yes": [3]}},
        "votes for 'yes' .*: write it without the list",
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
    "class": ({**ROW, "id": "b", "votes": {"yeah": 1}}, "votes for unknown class 'yeah': expected yes, no"),
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
    odd = {**ROW, "id": 0.5, "votes": {"maybe": 1}, "split": "test", "speaker": "s"}
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


@pytest.mark.parametrize(
    "votes", ['{"yes": 3}', '{"yes": 3, "no": 0}', '{"yes": 3, "no": null}', '{"yes": 3.0, "no": NaN}']
)
def test_no_votes_for_a_class_may_be_spelt_in_any_way(tmp_path: Path, votes: str) -> None:
    path = write(tmp_path, {"categories": ["yes", "no"]}, f'{{"id": "a", "text": "x", "votes": {votes}}}')
    assert [item.votes for item in read(path)] == [(3.0, 0.0)]


@pytest.mark.parametrize("nothing", ["null", "NaN", '""', '" "'])
def test_what_is_not_given_may_be_spelt_in_any_way(tmp_path: Path, nothing: str) -> None:
    keys = ", ".join(f'"{key}": {nothing}' for key in ("text", "rationale", "speaker", "split"))
    path = write(tmp_path, f'{{"id": "a", "audio": "a.wav", "votes": {{"yes": 1, "no": 1}}, {keys}}}')
    item = read(path)[0]
    assert (item.text, item.rationale, item.speaker) == (None, None, None)
    assert JsonLines(path).notes()[1] == "split: seeded, by speaker where known"
    path = write(tmp_path, f'{{"id": "a", "text": "x", "votes": {{"yes": 1, "no": 1}}, "audio": {nothing}}}')
    assert read(path)[0].audio is None


@pytest.mark.parametrize(
    ("number", "text"), [(3, "3"), (0, "0"), (-2, "-2"), (1001.0, "1001"), (10**30, str(10**30))]
)
def test_whole_numbers_as_ids_and_speakers_are_their_text(tmp_path: Path, number: float, text: str) -> None:
    item = read(write(tmp_path, {**ROW, "id": number, "speaker": number}))[0]
    assert (item.id, item.speaker) == (text, text)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (1, "1", "id '1' was used before, in line 1, a number there and a text here"),
        ("1", 1.0, "id '1' was used before, in line 1, a text there and a number here"),
        (1, 1.0, r"id '1' was used before, in line 1\. "),
        (
            1,
            "2",
            "\"id\" is a text here, '2', and a number before, 1 in line 1. Write all of them in one way",
        ),
        ("7", 8, "\"id\" is a number here, '8', and a text before, '7' in line 1. Write all"),
        ("7.0", 8, '"id" is a number here'),
    ],
)
def test_numbers_and_texts_of_digits_do_not_meet_in_one_file(
    tmp_path: Path, first: object, second: object, reason: str
) -> None:
    with pytest.raises(InputError, match=rf"items\.jsonl:2: {reason}"):
        read(write(tmp_path, {**ROW, "id": first}, {**ROW, "id": second}))


def test_two_spellings_of_speakers_are_an_error_whatever_is_left_out_and_words_are_none(
    tmp_path: Path,
) -> None:
    rows = [
        {**ROW, "id": "a", "speaker": 1},
        {**ROW, "id": "b", "speaker": "Ada"},
        {**ROW, "id": "c", "speaker": "2"},
    ]
    with pytest.raises(
        InputError, match=r"jsonl:3: \"speaker\" is a text here, '2', and a number before, 1 in line 1"
    ):
        read(write(tmp_path, *rows), skip_bad_rows=True)
    assert [item.speaker for item in read(write(tmp_path, *rows[:2]))] == ["1", "Ada"]


def test_a_speaker_in_two_unicode_forms_is_one_group(tmp_path: Path) -> None:
    rows = [
        {**ROW, "id": str(n), "speaker": speaker} for n, speaker in enumerate(("Ren\u00e9e", "Rene\u0301e"))
    ]
    assert {item.speaker for item in read(write(tmp_path, *rows))} == {"Ren\u00e9e"}


def test_two_forms_of_a_class_are_one_under_its_declared_or_first_name(tmp_path: Path) -> None:
    composed, decomposed = "Col\u00e8re", "cole\u0300re"
    rows = [
        {"id": str(n), "text": "x", "votes": {name: 2, "no": 1}}
        for n, name in enumerate((decomposed, composed))
    ]
    assert JsonLines(write(tmp_path, *rows)).categories.names == (decomposed, "no")
    assert [item.votes for item in read(write(tmp_path, *rows))] == [(2, 1)] * 2
    declared = write(tmp_path, {"categories": [composed, "NO"]}, *rows)
    assert JsonLines(declared).categories.names == (composed, "NO")
    assert [item.votes for item in read(declared)] == [(2, 1)] * 2
    assert [item.votes for item in read(declared, categories=f"{decomposed},no")] == [(2, 1)] * 2
    given = JsonLines(write(tmp_path, *rows), categories=["No", composed])
    assert given.categories.names == ("No", composed)
    assert [item.votes for item in given.read()] == [(1, 2)] * 2


def test_the_way_out_is_offered_only_where_it_leads_out(tmp_path: Path) -> None:
    bad = {**ROW, "id": "b", "votes": {"yes": "3"}}
    with pytest.raises(
        InputError,
        match=r"items\.jsonl:1: votes for 'yes' .*null for none; so are all 2 rows\. Mend the file",
    ):
        _ = JsonLines(write(tmp_path, bad, {**bad, "id": "c"})).categories
    for rows in ((bad, ROW), (ROW, bad)):
        with pytest.raises(
            InputError, match=r"null for none\. --option skip_bad_rows=true .* lists them\.$"
        ) as raised:
            _ = JsonLines(write(tmp_path, *rows)).categories
        assert ".." not in str(raised.value)


def test_two_names_of_one_class_are_an_error_that_no_declaration_mends(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"'happiness' stands twice: 'happiness' and 'joy'\. Give votes for one class"
    ):
        read(write(tmp_path, {**ROW, "votes": {"joy": 1, "happiness": 1}}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(SPLITS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from((*KEYS, "other")), JSON_VALUES))
def test_any_object_is_a_row_with_finite_votes_or_an_input_error(values: dict[str, Any]) -> None:
    try:
        row = parse_row(json_object(json.dumps(values).encode()), "f:1")
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert row.id.strip()
    assert 0 < sum(row.votes.values()) < math.inf
    assert row.audio or row.text


@given(st.binary(max_size=40))
@example(b"0\x0b")
@example("{}\u00a0".encode())
@example(b"{} \x1f;")
def test_any_bytes_are_an_object_or_an_input_error(line: bytes) -> None:
    try:
        values = json_object(line)
    except InputError as error:
        assert str(error).startswith(("not JSON", "not Unicode", "a row must be a JSON object"))
    else:
        assert values == json.loads(line.decode())


@pytest.mark.parametrize("key", ["Speaker", "SPLIT", " votes", "Id ", "Audio"])
def test_a_key_that_differs_by_case_or_blanks_alone_is_never_passed_over(tmp_path: Path, key: str) -> None:
    full = {**ROW, "speaker": "s", "split": "train", "audio": "a.wav"}
    rows = [
        {**{key if name == key.strip().lower() else name: v for name, v in full.items()}} for _ in range(3)
    ]
    with pytest.raises(InputError, match=r"items\.jsonl:1: .*; so are all 3 rows\. Mend the file"):
        read(write(tmp_path, *rows), skip_bad_rows=True)
    with pytest.raises(InputError, match=rf"write the key '{key}' as \"{key.strip().lower()}\""):
        parse_row({**full, key: "x"}, "f:1")
    with pytest.raises(InputError, match=r"items\.jsonl:1: write the key 'Categories' as \"categories\""):
        read(write(tmp_path, {"Categories": ["yes", "no"]}, ROW), skip_bad_rows=True)


@pytest.mark.parametrize(
    ("first", "second"), [("7", "7.0"), ("7.0", "7"), ("Ren\u00e9e", "Rene\u0301e"), ("a", "a ")]
)
def test_two_spellings_of_one_id_are_one_id(tmp_path: Path, first: str, second: str) -> None:
    with pytest.raises(InputError, match=r"items\.jsonl:2: id .* was used before, in line 1"):
        read(write(tmp_path, {**ROW, "id": first}, {**ROW, "id": second}))
