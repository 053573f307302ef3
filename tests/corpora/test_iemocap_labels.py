"""The parsers of IEMOCAP's text files, on any text: records, or one line with file and line number."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.iemocap import HEADING, TURNS, block

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.iemocap.labels import parse_transcripts, parse_turns
from lalm_ambig.corpora.iemocap.votes import CATEGORIES, SEVERAL_TAGS, count_votes
from lalm_ambig.corpora.reading.bad_rows import BadRows

NAME = "Ses01F_impro01"
REAL_LINES = "\n".join(block(f"{NAME}_{ending}", *of) for ending, of in TURNS.items()).split("\n")
SPOKEN_LINES = [f"{NAME}_F000 [001.0-002.0]: Yes: no.", f"{NAME}_FXX0 [1.0-2.0]: x", f"{NAME}_M0", "M: (off)"]
ANY_TEXT = st.one_of(
    st.text(),
    st.lists(st.one_of(st.sampled_from([HEADING, *REAL_LINES, *SPOKEN_LINES, ""]), st.text(max_size=8))).map(
        "\n".join
    ),
    st.tuples(st.sampled_from(["\n".join(REAL_LINES)]), st.integers(0, 400), st.text(max_size=3)).map(
        lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
    ),
)


@settings(max_examples=150, deadline=None)
@given(text=ANY_TEXT)
def test_any_text_gives_turns_or_one_line_with_file_and_line(text: str) -> None:
    try:
        turns = parse_turns(text, NAME, source="a.txt", bad_rows=BadRows(skip=False))
    except InputError as error:
        assert re.match(r"a\.txt:\d+: ", str(error))
        assert "\n" not in str(error)
        turns = []
    bad_rows = BadRows(skip=True)
    kept = parse_turns(text, NAME, source="a.txt", bad_rows=bad_rows)
    assert kept == turns or bad_rows.lines
    assert len({turn.name for turn in kept}) == len(kept)
    for turn in kept:
        assert turn.name.startswith(NAME)
        assert turn.speaker in {"01F", "01M"}
        assert len(turn.tags) > 0


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
def test_any_text_gives_transcripts_or_one_line_with_file_and_line(text: str) -> None:
    try:
        spoken = parse_transcripts(text, NAME, source="a.txt", bad_rows=BadRows(skip=False))
    except InputError as error:
        assert re.match(r"a\.txt:\d+: ", str(error))
        spoken = {}
    bad_rows = BadRows(skip=True)
    kept = parse_transcripts(text, NAME, source="a.txt", bad_rows=bad_rows)
    assert kept == spoken or bad_rows.lines
    assert all("\n" not in words for words in kept.values())


TAGS = st.lists(st.lists(st.sampled_from(["anger", "excited", "happiness", "fear", "bored"]), unique=True))


@settings(max_examples=100, deadline=None)
@given(tags=TAGS)
def test_first_and_shared_tags_never_count_a_rater_more_than_once(tags: list[list[str]]) -> None:
    each, first, shared = (count_votes(tags, several) for several in SEVERAL_TAGS)
    rated = sum(bool(of_rater) for of_rater in tags)
    assert sum(first) <= rated
    assert sum(shared) <= rated + 1e-9
    assert sum(each) == sum(tag in {"anger", "excited", "happiness"} for of_rater in tags for tag in of_rater)
    assert each[CATEGORIES.index("sadness")] == each[CATEGORIES.index("neutral")] == 0


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        ("C-E1:\tAnger;\t(a; b)", ("anger",)),
        ("C-E1:\tAnger; Anger; Sadness;\t()", ("anger", "sadness")),
        ("C-E12 : Neutral  State ;(x)", ("neutral state",)),
        ("C-E1:\tAnger", ("anger",)),
        ("C-E1:\tExcited; Other;", ("excited", "other")),
        ("C-E1:\t;\t()", ()),
        ("C-E1:", ()),
    ],
)
def test_tags_are_what_stands_before_the_comment(line: str, tags: tuple[str, ...]) -> None:
    text = f"[1.0 - 2.5]\t{NAME}_F000\tneu\t[2.0, 2.5, 3.0]\n{line}"
    [turn] = parse_turns(text, NAME, source="a.txt", bad_rows=BadRows(skip=False))
    assert turn.tags == (tags,)


def test_transcripts_keep_what_is_written_and_pass_over_remarks_and_unrated_turns() -> None:
    text = f"\ufeffx\n{NAME}_F000 [001.0000-002.0000]: Well: [LAUGHTER] ++no++ -- so...\n{NAME}_MXX0 none\nM: (sighs)\n"
    spoken = parse_transcripts(text, NAME, source="a.txt", bad_rows=BadRows(skip=False))
    assert spoken == {f"{NAME}_F000": "Well: [LAUGHTER] ++no++ -- so..."}
