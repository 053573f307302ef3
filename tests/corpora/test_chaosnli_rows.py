"""Rows of ChaosNLI: every malformed one stops the reading or is left out and listed; none is a crash."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts.chaosnli import FILES, GOOD, part_of, row, write_rows

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.chaosnli import ChaosNli, parse_pair
from lalm_ambig.files.json_lines import json_object


def read(root: Path, **options: Any) -> list[Item]:
    return list(ChaosNli(root, part="snli", **options).read())


MALFORMED = {
    "not json": ('{"uid": "h"', "not JSON: "),
    "list": ([1], "a row must be a JSON object, got list"),
    "no uid": ({**GOOD, "uid": None}, 'a row needs a "uid" that is a text'),
    "twice": (GOOD, r"uid 'g' was used before, in .*chaosNLI_snli\.jsonl:1"),
    "no example": ({**GOOD, "uid": "h", "example": "x"}, "pair 'h' needs an \"example\""),
    "premise": (
        {**GOOD, "uid": "h", "example": {"hypothesis": "x"}},
        "\"example.premise\" of pair 'h' must be a text, got None",
    ),
    "hypothesis": (
        {**GOOD, "uid": "h", "example": {"premise": "x", "hypothesis": " "}},
        "\"example.hypothesis\" of pair 'h' must be a text, got ' '",
    ),
    "no counter": ({**GOOD, "uid": "h", "label_counter": [1]}, "pair 'h' needs a \"label_counter\""),
    "letter": (row("h", {"x": 100}), "votes for unknown class 'x': expected e, n, c"),
    "negative": (row("h", {"e": -1, "n": 101}), "votes for e must be a count from 0 to 100, got -1"),
    "half": (row("h", {"e": 99.5, "n": 0.5}), "votes for e must be a count from 0 to 100, got 99.5"),
    "bool": (row("h", {"e": True, "n": 99}), "votes for e must be a count from 0 to 100, got True"),
    "sum": (row("h", {"e": 50, "n": 49}), "the votes of pair 'h' sum to 99, not 100"),
    "disagree": (
        {**row("h", {"e": 60, "n": 40}), "label_count": [40, 60, 0]},
        r"pair 'h': label_count \[40, 60, 0\] is not its label_counter's \[60, 40, 0\]",
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_row_stops_the_reading_or_is_left_out_and_listed(tmp_path: Path, kind: str) -> None:
    bad, reason = MALFORMED[kind]
    root = part_of(tmp_path, GOOD, bad, row("z", {"e": 100}))
    with pytest.raises(InputError, match=rf"chaosNLI_snli\.jsonl:2: {reason}.*skip_bad_rows") as raised:
        read(root)
    assert "\n" not in str(raised.value)
    corpus = ChaosNli(root, part="snli", skip_bad_rows=True)
    assert [[item.id for item in corpus.read()] for _ in range(2)] == [["g", "z"]] * 2
    assert len(corpus.notes()) == 3
    assert corpus.notes()[1] == "1 bad rows left out (2 kept):"


def test_a_uid_of_the_other_part_is_a_second_one_too(tmp_path: Path) -> None:
    write_rows(part_of(tmp_path, GOOD) / FILES["mnli"], [row("m", {"e": 100}), GOOD])
    with pytest.raises(InputError, match=r"mnli_m\.jsonl:2: uid 'g' was used before, in .*snli\.jsonl:1"):
        list(ChaosNli(tmp_path).read())


def test_a_file_without_a_good_row_is_an_error_also_where_bad_ones_are_left_out(tmp_path: Path) -> None:
    for rows, wrong in (
        ((), ": no pair in it could be read"),
        (("{oops",), ":1: not JSON"),
        (("1",) * 3, ":1: a row must"),
    ):
        with pytest.raises(InputError, match=rf"chaosNLI_snli\.jsonl{wrong}") as raised:
            read(part_of(tmp_path, *rows), skip_bad_rows=True)
        assert "skip_bad_rows" not in str(raised.value)


def test_a_row_without_label_count_is_good(tmp_path: Path) -> None:
    bare = {key: GOOD[key] for key in ("uid", "label_counter", "example")}
    assert read(part_of(tmp_path, bare)) == read(part_of(tmp_path, GOOD))


SCALARS = st.none() | st.booleans() | st.integers(-1, 101) | st.floats() | st.text(max_size=3)
COUNTERS = st.dictionaries(st.sampled_from("encx"), st.integers(-1, 101) | SCALARS, max_size=4)
EXAMPLES = st.fixed_dictionaries({"premise": SCALARS, "hypothesis": SCALARS})
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "uid": SCALARS,
        "label_counter": COUNTERS | st.integers(0, 100).map(lambda e: {"e": e, "n": 100 - e}) | SCALARS,
        "label_count": st.lists(st.integers(0, 100), max_size=3) | SCALARS,
        "example": EXAMPLES | SCALARS,
    },
)


@given(ROWS)
def test_any_row_is_a_pair_with_100_votes_or_an_input_error(values: dict[str, Any]) -> None:
    try:
        pair = parse_pair(json_object(json.dumps(values).encode()))
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert sum(pair.votes) == 100
    assert len(pair.text.split("\n")) == 2


def test_counts_may_have_become_floats_and_none_may_be_null(tmp_path: Path) -> None:
    bare = {key: GOOD[key] for key in ("uid", "example")}
    counters = ({"e": 60, "n": 40}, {"e": 60.0, "n": 40.0, "c": 0.0}, {"e": 60, "n": 40, "c": None})
    votes = [read(part_of(tmp_path, {**bare, "label_counter": counter}))[0].votes for counter in counters]
    assert votes == [(60, 40, 0)] * 3
