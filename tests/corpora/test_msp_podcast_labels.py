"""The parsers of MSP-Podcast's label files: the traps of their syntax, and any text."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.msp_podcast import LAYOUTS, write_consensus, write_votes

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.msp_podcast.consensus import read_consensus
from lalm_ambig.corpora.msp_podcast.secondary import CATEGORIES, OUTSIDE, category_place
from lalm_ambig.corpora.msp_podcast.turns import VotedTurn, Votes, count_votes
from lalm_ambig.corpora.msp_podcast.votes import LAYOUTS as READERS
from lalm_ambig.corpora.msp_podcast.votes import rater_vote
from lalm_ambig.corpora.reading.bad_rows import BadRows

TURN = "MSP-PODCAST_0007_0012"


def parse(text: str, layout: str, bad_rows: BadRows) -> Votes:
    rows = READERS[layout][1](io.StringIO(text, newline=""), "a.txt", bad_rows)
    return count_votes(rows, source="a.txt", bad_rows=bad_rows)


def votes_of(text: str, layout: str = "txt") -> dict[str, int]:
    """Votes of the one turn in a text, by class; those outside as `other`."""
    [turn] = parse(text, layout, BadRows(skip=False)).turns.values()
    names = (*CATEGORIES.names, "other")
    return {name: count for name, count in zip(names, turn.votes, strict=True) if count}


@pytest.mark.parametrize(
    ("line", "primary"),
    [
        ("WORKER00000018; Neutral; Neutral; A:1.000000; V:4.000000; D:2.000000;", "Neutral"),
        ("WORKER00000018;Happy;;A:1.0;V:4.0;D:2.0", "Happy"),
        ("WORKER00000018; Sad; A:1.0; V:4.0; D:2.0;", "Sad"),
        ("WORKER00000018; Sad", "Sad"),
        ("  WORKER00000018 ; Other-A: why; me / \"no\"; Sad,Fear; A:1.0;", "Other-A: why"),
    ],
)  # fmt: skip
def test_the_primary_emotion_is_the_first_field_whatever_follows(line: str, primary: str) -> None:
    assert rater_vote(line) == ("WORKER00000018", primary)


@pytest.mark.parametrize(
    ("primary", "category"),
    [("Angry", "angry"), ("HAPPY", "happy"), ("Surprise", "surprise"), ("Other", None), ("Other-Happy", None),
     ("Happy-ish", None), ("Excited", None), ("Anger", None), ("A", None), ("other", None)],
)  # fmt: skip
def test_only_the_eight_words_are_classes(primary: str, category: str | None) -> None:
    assert category_place(primary) == (OUTSIDE if category is None else CATEGORIES.names.index(category))


def test_windows_line_ends_blanks_and_missing_blank_lines_change_nothing() -> None:
    lines = [f"{TURN}.wav; X; A:1.0;", "WORKER01; Sad; ; A:1.0;", "WORKER02; Other-x", "WORKER03; Fear;"]
    expected = {"sad": 1, "fear": 1, "other": 1}
    for end in ("\n", "\r\n", "\r", "\n\n", "\r\r\n"):
        assert votes_of(end.join(lines)) == expected
    second = [line.replace("0012", "0013") for line in lines]
    both = parse("\n".join([*lines, *second]), "txt", BadRows(skip=False)).turns
    assert [turn.votes for turn in both.values()] == [both[TURN].votes] * 2


def test_raters_after_a_turn_that_cannot_be_read_are_no_votes_on_the_turn_before() -> None:
    start = f"{TURN}.wav; S;\nWORKER01; Sad;\n"
    for header in ("\nno name; N;", f"{TURN}x.wav; N;", "MSP-PODCAST; N;"):
        bad_rows = BadRows(skip=True)
        turns = parse(f"{start}{header}\nWORKER02; Happy;\nWORKER03; Happy;\n", "txt", bad_rows).turns
        assert {name: sum(turn.votes) for name, turn in turns.items()} == {TURN: 1}
        assert len(bad_rows.lines) == 1
    with pytest.raises(InputError, match=r"a\.txt:2: a rater's line stands before the first turn"):
        parse("\nWORKER02; Happy;\n", "txt", BadRows(skip=False))


def test_rows_of_a_turn_need_not_follow_each_other_in_a_csv() -> None:
    rows = [
        f"{TURN}.wav,WORKER1; Sad;",
        "MSP-PODCAST_1_1.wav,WORKER1; Fear;",
        f'{TURN}.wav,"WORKER2; Sad; a,b"',
    ]
    text = "\n".join(["FileName,EmoDetail", *rows])
    turns = parse(text, "csv", BadRows(skip=False)).turns
    assert [(turn.name, sum(turn.votes), turn.line) for turn in turns.values()] == [
        (TURN, 2, 2), ("MSP-PODCAST_1_1", 1, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["Workers", "WorkerID", "worker", "AnnotatorID"])
def test_the_workers_column_has_several_names(column: str) -> None:
    assert votes_of(f"emoclass_major,{column},FileName\nSad,7,{TURN}.wav\n", "csv") == {"sad": 1}


def test_a_json_may_be_wrapped_in_a_list_and_repeat_nothing() -> None:
    inside = f'{{"{TURN}.wav": {{"W1": {{"EmoAct": 1, "EmoClass_Major": "Sad"}}, "W2": {{"EmoClass_Major": "Fear"}}}}}}'
    assert votes_of(inside, "json") == votes_of(f"[{inside}]", "json") == {"fear": 1, "sad": 1}
    with pytest.raises(InputError, match=r"a\.txt:1: second vote of W1 on turn"):
        votes_of(inside.replace("W2", "W1"), "json")


@pytest.mark.parametrize(
    ("votes", "code"),
    [
        ((3, 1, 0, 0, 0, 0, 0, 0, 0), "A"),
        ((2, 2, 0, 0, 0, 0, 0, 0, 1), "X"),
        ((0, 1, 0, 0, 0, 0, 0, 1, 2), "O"),
    ],
)
def test_the_plurality_is_what_most_chose_or_no_agreement(votes: tuple[int, ...], code: str) -> None:
    assert VotedTurn(TURN, votes, 1).plurality == code


def samples(folder: Path) -> list[str]:
    return [write_votes(folder, layout).read_bytes().decode("utf-8-sig") for layout in (*LAYOUTS, "columns")]


@pytest.fixture(scope="module")
def real_texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return samples(tmp_path_factory.mktemp("msp"))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), layout=st.sampled_from(LAYOUTS))
def test_any_text_gives_turns_or_one_line(real_texts: list[str], data: st.DataObject, layout: str) -> None:
    text = data.draw(any_text(real_texts))
    try:
        votes = parse(text, layout, BadRows(skip=False))
    except InputError as error:
        assert re.match(r"a\.txt(:\d+)?: ", str(error))
        assert "\n" not in str(error)
        return
    assert parse(text, layout, BadRows(skip=True)) == votes
    for name, turn in votes.turns.items():
        assert name == turn.name
        assert re.fullmatch(r"MSP-PODCAST(_\d+)+", name)
        assert 1 <= turn.line <= 1 + text.count("\n") + text.count("\r")


@settings(max_examples=80, deadline=None)
@given(data=st.data(), suffix=st.sampled_from(["csv", "json"]))
def test_any_consensus_gives_turns_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("consensus") / f"labels_consensus.{suffix}"
    real = write_consensus(path.parent, name=path.name).read_text(encoding="utf-8-sig")
    path.write_bytes(data.draw(any_text([real])).encode("utf-8", errors="surrogatepass"))
    bad_rows = BadRows(skip=True)
    try:
        consensus = read_consensus(path, bad_rows=bad_rows)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert all(about is not None for about in consensus.turns.values()) or bad_rows.lines


def any_text(real: list[str]) -> st.SearchStrategy[str]:
    """Anything, the lines of real files in any order among anything, and a real file with a hole or an addition."""
    lines = sorted({line for text in real for line in text.splitlines()})
    shuffled = st.lists(st.one_of(st.sampled_from(lines), st.text(max_size=8))).map("\n".join)
    damaged = st.tuples(
        st.sampled_from(real), st.integers(0, 3000), st.integers(0, 60), st.text(max_size=3)
    ).map(lambda drawn: drawn[0][: drawn[1]] + drawn[3] + drawn[0][drawn[1] + drawn[2] :])
    return st.one_of(st.text(), shuffled, damaged)
