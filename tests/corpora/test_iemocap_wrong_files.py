"""What is wrong with a copy of IEMOCAP: each kind is one line, or counted and listed."""

from pathlib import Path
from typing import Any

import pytest
from layouts.iemocap import FIRST, HEADING, NEUTRAL, block, relabel, write, write_labels, write_sound

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.iemocap.corpus import Iemocap


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "IEMOCAP_full_release")


def read(root: Path, **options: Any) -> dict[str, Item]:
    return {item.id: item for item in open_corpus("iemocap", root, **options).read()}


def notes(root: Path, **options: Any) -> list[str]:
    corpus = Iemocap(root, **options)
    list(corpus.read())
    return list(corpus.notes())


GOOD = block(f"{FIRST}_F000", "neu", NEUTRAL)
OTHER = f"{FIRST}_M000"
BAD_ROWS = {
    "header": (block(OTHER, "neu", NEUTRAL).replace(" - ", " to "), 0, r"expected `\[start - end\] TURN code"),
    "cut header": (block(OTHER, "neu", NEUTRAL).replace(", 2.0000]", ""), 0, r"expected `\[start - end\]"),
    "times": (block(OTHER, "neu", NEUTRAL).replace("1.9000", "1.2000"), 0, r"starts at 1\.5000 s, not before"),
    "code": (block(OTHER, "happy", NEUTRAL), 0, r"unknown code 'happy': expected one of ang, hap"),
    "other dialogue": (
        block("Ses01F_impro02_M000", "neu", NEUTRAL),
        0,
        rf"'Ses01F_impro02_M000' is no turn of {FIRST}",
    ),
    "longer dialogue": (block(f"{FIRST}b_M000", "neu", NEUTRAL), 0, rf"'{FIRST}b_M000' is no turn of {FIRST}"),
    "twice": (GOOD, 0, rf"second block of turn {FIRST}_F000"),
    "nobody": (block(OTHER, "neu", []), 0, rf"turn {OTHER} has no line of an evaluator"),
    "no line": (block(OTHER, "neu", [*NEUTRAL, "Neutral;"]), 4, r"neither the header .* a rater: 'Neutral;'"),
    "no rater": (block(OTHER, "neu", [*NEUTRAL, "C-X1:\tAnger;\t()"]), 4, r"nor a line of a rater: 'C-X1:"),
    "rater twice": (block(OTHER, "neu", [*NEUTRAL, NEUTRAL[0]]), 4, r"second line of labels by rater E1"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_one_error_with_file_and_line_or_is_skipped_and_listed(root: Path, kind: str) -> None:
    bad, offset, reason = BAD_ROWS[kind]
    relabel(root, GOOD, bad)
    line = 3 + len(GOOD.split("\n")) + 1 + offset
    with pytest.raises(
        InputError, match=rf"EmoEvaluation/{FIRST}\.txt:{line}: .*{reason}.*skip_bad_rows"
    ) as raised:
        read(root)
    assert "\n" not in str(raised.value)
    items = read(root, skip_bad_rows=True)
    assert items[f"{FIRST}_F000"].votes == (0, 0, 1, 2)
    assert (OTHER in items) == (offset > 0)
    count, listed = notes(root, skip_bad_rows=True)[-2:]
    assert count.startswith("1 bad rows left out (")
    assert f"{FIRST}.txt:{line}: " in listed


def test_a_line_before_the_first_turn_is_a_bad_row(root: Path) -> None:
    write_labels(root, FIRST, f"{HEADING}\nC-E1:\tAnger;\t()\n{GOOD}")
    with pytest.raises(InputError, match=rf"{FIRST}\.txt:2: .*stands before the first turn"):
        read(root)
    assert read(root, skip_bad_rows=True)[f"{FIRST}_F000"].votes == (0, 0, 1, 2)


def transcripts_of_first(root: Path) -> Path:
    return root / "Session1" / "dialog" / "transcriptions" / f"{FIRST}.txt"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[001.5000-001.9000]:", "", r"transcriptions/Ses01F_impro01\.txt:1: expected `TURN \[start-end\]: words`"),
        (f"{FIRST}_F000", "Ses01F_impro02_F000", r"txt:1: 'Ses01F_impro02_F000' is no turn of Ses01F_impro01"),
        (f"{FIRST}_F001", f"{FIRST}_F000", r"txt:3: second transcript of turn Ses01F_impro01_F000"),
        (f"{FIRST}_F000", "A remark", r"EmoEvaluation/Ses01F_impro01\.txt:3: turn .*_F000 has no line in .*/transcr"),
    ],
)  # fmt: skip
def test_a_bad_or_missing_transcript_is_a_bad_row(root: Path, old: str, new: str, reason: str) -> None:
    path = transcripts_of_first(root)
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    with pytest.raises(InputError, match=rf"{reason}.*skip_bad_rows"):
        read(root)
    items = read(root, skip_bad_rows=True)
    assert (f"{FIRST}_F000" in items) == (new == f"{FIRST}_F000")
    assert "has no line in" in notes(root, skip_bad_rows=True)[-1] or new == f"{FIRST}_F000"


def test_labels_without_transcripts_or_with_a_foreign_name_are_bad_rows(root: Path) -> None:
    transcripts_of_first(root).unlink()
    with pytest.raises(
        InputError, match=rf"EmoEvaluation/{FIRST}\.txt: its dialogue has no transcripts: .*there"
    ):
        read(root)
    assert len(read(root, skip_bad_rows=True)) == 42
    foreign = write_labels(root, "Ses01F_impro02", GOOD)
    foreign.rename(foreign.with_name("Ses02F_impro02.txt"))
    found = notes(root, skip_bad_rows=True)
    assert found[-3] == "2 bad rows left out (42 kept):"
    assert "Ses02F_impro02.txt: no dialogue of Session1 has this name" in found[-1]


def test_labels_without_sound_and_sound_without_labels_are_left_out_and_counted(root: Path) -> None:
    sounds = root / "Session1" / "sentences" / "wav"
    (sounds / FIRST / f"{FIRST}_F000.wav").unlink()
    write_sound(sounds / FIRST / f"{FIRST}_F099.wav", 0)
    write_sound(sounds / "Ses01M_impro07" / "Ses01M_impro07_F000.wav", 0)
    items = read(root)
    assert len(items) == 44
    assert f"{FIRST}_F000" not in items
    assert notes(root)[-2:] == [
        f"1 turns have no sound file: left out (the first: {FIRST}_F000)",
        f"2 sound files have no rated turn: left out (the first: {FIRST}/{FIRST}_F099)",
    ]


def test_a_test_session_without_any_sound_is_an_error(root: Path) -> None:
    for path in (root / "Session5" / "sentences" / "wav").rglob("*.wav"):
        path.unlink()
    with pytest.raises(
        InputError, match=r"no item in .*Session5, which is tested on; 9 rated turns have no sound file"
    ):
        read(root)
    assert len(read(root, fold=0)) == 36


def test_a_missing_session_is_an_error_unless_it_is_only_trained_on_and_that_is_allowed(root: Path) -> None:
    (root / "Session3").rename(root / "Session3.part")
    with pytest.raises(
        InputError, match=r"Session3: this session is missing, and is trained on\. .*skip_bad_"
    ):
        read(root)
    assert len(read(root, skip_bad_rows=True)) == 36
    assert "Session3: this session is missing" in notes(root, skip_bad_rows=True)[-1]
    for skip in (False, True):
        with pytest.raises(InputError, match=r"not found: Session3 under .*IEMOCAP is licensed"):
            read(root, fold=2, skip_bad_rows=skip)


def test_a_wrong_root_says_what_was_looked_for_where_and_how_to_obtain_it(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus iemocap: not found: .*nowhere\. IEMOCAP is licensed"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"not found: Session5 under .* give the folder that holds Session1"):
        read(tmp_path)
    (root / "Session2" / "sentences").rename(root / "Session2" / "sent")
    with pytest.raises(InputError, match=r"not found: Session2/sentences/wav under .*sail\.usc\.edu"):
        read(root, skip_bad_rows=True)
