"""What is wrong with a copy of MSP-Podcast: each kind is one line, or counted and listed."""

from pathlib import Path
from typing import Any

import pytest
from layouts.msp_podcast import HIDDEN, worker, write, write_votes
from msp_podcast_reading import read

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.msp_podcast.corpus import MspPodcast

FIRST, SECOND = "MSP-PODCAST_0001_0008", "MSP-PODCAST_0001_0019"
W1, W2, TAIL = worker(1), worker(2), "A:2.0; V:4.0; D:3.0;"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "MSP-Podcast")


def change(root: Path, name: str, old: str, new: str) -> None:
    """Replaces the one place in a label file where `old` stands."""
    path = root / "Labels" / name
    content = path.read_bytes().decode().replace("\r\n", "\n")
    assert content.count(old) == 1
    path.write_text(content.replace(old, new))


def refused(root: Path, place: str, reason: str, **options: Any) -> dict[str, Item]:
    """The items that are left when that one bad row is; alone it is an error of one line."""
    with pytest.raises(InputError, match=rf"{place}: .*{reason}.*skip_bad_rows") as raised:
        read(root, **options)
    assert "\n" not in str(raised.value)
    corpus = MspPodcast(root, skip_bad_rows=True, **options)
    items = {item.id: item for item in corpus.read()}
    [count, *listed] = list(corpus.notes())[
        [" bad rows left" in note for note in corpus.notes()].index(True) :
    ]
    assert count.startswith(f"{len(listed)} bad rows left out ({len(items)} kept)")
    assert reason.replace("\\", "") in listed[0]
    return items


LINE_1, LINE_2 = f"{W1}; Angry; Concerned,Confused; {TAIL}", f"{W2}; Angry; {TAIL}"
HEADER = f"{SECOND}.wav; A; A:3.0; V:3.5; D:4.0;"
RATER = f"{HEADER}\n{LINE_1}\n{LINE_2}"
TXT = {
    "no worker": (RATER, f"{HEADER}\n{LINE_1}\nWORK2; Angry; {TAIL}", 11, "'WORK2' is no turn's file", 4),
    "worker": (RATER, f"{HEADER}\n{LINE_1}\nWORKERx; Angry;", 11, "expected `WORKER…; primary emotion; …`", 4),
    "nothing": (RATER, f"{HEADER}\n{LINE_1}\n{W2}; ;", 11, f"'{W2}' names no primary emotion", 4),
    "no primary": (RATER, f"{HEADER}\n{LINE_1}\n{W2}; {TAIL}", 11, f"'{W2}' names no primary emotion", 4),
    "twice": (RATER, f"{HEADER}\n{LINE_1}\n{LINE_1}", 11, f"second vote of {W1} on turn {SECOND}", 4),
    "header": (HEADER, HEADER.replace("PODCAST_", "PODCAST-"), 9, "is no turn's file: expected one such as MSP-", 0),
    "turn twice": (HEADER, HEADER.replace(SECOND, FIRST), 9, f"second block of turn {FIRST}", 0),
}  # fmt: skip
"""What replaces what in the second block, the line, the reason, and the votes that are left of its five."""


@pytest.mark.parametrize("kind", TXT)
def test_a_bad_row_of_labels_txt(root: Path, kind: str) -> None:
    old, new, line, reason, votes = TXT[kind]
    change(root, "labels.txt", old, new)
    items = refused(root, rf"labels\.txt:{line}", reason)
    assert sum(items[SECOND].votes if votes else ()) == votes
    assert (SECOND in items) == bool(votes)
    assert sum(items[FIRST].votes) == 6


CSV = {
    "cells": (f'0019.wav,"{LINE_1}"', "0019.wav", "1 columns, but the header has 2", 4),
    "open quote": (f'0019.wav,"{LINE_1}"', f'0019.wav,"{LINE_1}', "a quote is still open at the end of the line", 4),
    "file": (f'{SECOND}.wav,"{LINE_1}"', f'x.wav,"{LINE_1}"', "'x.wav' is no turn's file", 4),
    "no primary": (f'0019.wav,"{LINE_1}"', f'0019.wav,"{W1}; {TAIL}"', f"'{W1}' names no primary emotion", 4),
}  # fmt: skip


@pytest.mark.parametrize("kind", CSV)
def test_a_bad_row_of_the_detailed_csv(root: Path, kind: str) -> None:
    old, new, reason, votes = CSV[kind]
    change(root, "labels_detailed.csv", old, new)
    items = refused(root, r"labels_detailed\.csv:8", reason, labels="csv")
    assert sum(items[SECOND].votes) == votes


COLUMNS = {
    "no worker": (f"0019.wav,{W1},Angry", "0019.wav,,Angry", "primary emotion 'Angry' has no worker"),
    "no primary": (f"0019.wav,{W1},Angry", f"0019.wav,{W1}, ", f"'{W1}' names no primary emotion"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_bad_row_of_the_csv_with_columns(root: Path, kind: str) -> None:
    write_votes(root, "columns")
    old, new, reason = COLUMNS[kind]
    change(root, "labels_detailed.csv", old, new)
    assert sum(refused(root, r"labels_detailed\.csv:8", reason, labels="csv")[SECOND].votes) == 4


JSON = {
    "file": (f'"{SECOND}.wav"', '"x.wav"', "'x.wav' is no turn's file", 0),
    "twice": (f'"{SECOND}.wav"', f'"{FIRST}.wav"', f"second block of turn {FIRST}", 0),
    "list": (f'"{SECOND}.wav": {{', f'"{SECOND}.wav": [], "MSP-PODCAST_9_9.wav": {{', "expected an object by", 0),
    "no object": (f'"{SECOND}.wav": {{', f'"{SECOND}.wav": {{"{worker(9)}": "Sad",', "expected an object for", 5),
}  # fmt: skip


@pytest.mark.parametrize("kind", JSON)
def test_a_bad_row_of_the_detailed_json(root: Path, kind: str) -> None:
    old, new, reason, votes = JSON[kind]
    change(root, "labels_detailed.json", old, new)
    items = refused(root, r"labels_detailed\.json:46", reason, labels="json")
    assert sum(items[SECOND].votes if votes else ()) == votes


CONSENSUS = {
    "part": ("0019.wav,A,3.8,3.0,3.5,11,Male,Train", "0019.wav,A,3.8,3.0,3.5,11,Male,Test9", "Split_Set must be"),
    "code": ("0019.wav,A,", "0019.wav,angry,", "EmoClass must be one of A, C, D, F, H, N, S, U, O, X, got 'angry'"),
    "cells": ("0019.wav,A,3.8", "0019.wav,A", "7 columns, but the header has 8"),
    "twice": (f"{SECOND}.wav", f"{FIRST}.wav", f"second row for turn {FIRST}"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CONSENSUS)
def test_a_bad_row_of_the_consensus(root: Path, kind: str) -> None:
    old, new, reason = CONSENSUS[kind]
    change(root, "labels_consensus.csv", old, new)
    items = refused(root, r"labels_consensus\.csv:3", reason)
    assert SECOND not in items
    assert len(items) == 10


def test_votes_without_sound_are_a_bad_row_where_the_turn_would_be_an_item(root: Path) -> None:
    (root / "Audios" / "MSP-PODCAST_0001_0020.wav").unlink()  # has a vote outside, is no item anyway
    assert len(read(root)) == 11
    (root / "Audios" / f"{SECOND}.wav").unlink()
    (root / "Audios" / f"._{SECOND}.wav").write_bytes(b"\x00")
    assert SECOND not in refused(root, r"labels\.txt:9", f"turn {SECOND} has no sound file")


def test_what_only_one_of_the_two_label_files_has_is_a_bad_row(root: Path) -> None:
    change(root, "labels_consensus.csv", f"{SECOND}.wav,A,3.8,3.0,3.5,11,Male,Train\n", "")
    assert len(refused(root, r"labels\.txt:9", f"turn {SECOND} has no row in ")) == 10
    change(
        root, "labels_consensus.csv", f"{FIRST}.wav", f"{SECOND}.wav,A,3.8,3.0,3.5,11,Male,Train\n{FIRST}.wav"
    )
    assert len(read(root)) == 11
    with (root / "Labels" / "labels_consensus.csv").open("a") as file:
        file.write(f"{HIDDEN}.wav,N,3.8,3.0,3.5,11,Male,Test2\n")
    assert len(refused(root, r"labels_consensus\.csv:16", f"turn {HIDDEN} has no votes")) == 11


def test_a_transcript_that_is_not_utf8_is_a_bad_row_and_its_turn_has_no_text(root: Path) -> None:
    (root / "Transcripts" / f"{SECOND}.txt").write_bytes(b"one\ncaf\xe9")
    assert refused(root, rf"Transcripts/{SECOND}\.txt:2", "this transcript is not UTF-8")[SECOND].text is None


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("labels_detailed.csv", "", r"labels_detailed\.csv: the file is empty"),
        ("labels_detailed.csv", "FileName,count::Anger\n", r"csv:1: missing column 'EmoClass_Major'; the file"),
        ("labels_detailed.csv", "FileName,EmoClass_Major\n", r"csv:1: missing column 'Workers' or 'WorkerID' or"),
        ("labels_detailed.csv", "EmoDetail\n", r"csv:1: missing column 'FileName'; the file has EmoDetail"),
        ("labels_detailed.csv", f'FileName,EmoDetail\nx,"{"y" * 140_000}\n', r"csv:2: not CSV: field larger than"),
        ("labels_detailed.json", '{"a":\n{]', r"labels_detailed\.json:2: not JSON: "),
        ("labels_detailed.json", "[1, 2]", r"labels_detailed\.json: expected one JSON object with a member a file"),
        ("labels_detailed.json", "[" * 100_000, r"labels_detailed\.json: not JSON that can be read: "),
        ("labels_consensus.csv", "FileName,EmoClass,Split_Set\n", r"consensus\.csv:1: missing column 'SpkrID'"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_such_table_is_one_error(root: Path, name: str, content: str, reason: str) -> None:
    (root / "Labels" / name).write_text(content)
    labels = "txt" if "consensus" in name else name.rpartition(".")[2]
    for skip_bad_rows in (False, True):
        with pytest.raises(InputError, match=reason) as raised:
            read(root, labels=labels, skip_bad_rows=skip_bad_rows)
        assert "\n" not in str(raised.value)


def test_a_wrong_root_says_what_was_looked_for_where_and_how_to_obtain_it(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not found: .*nowhere\. MSP-Podcast is licensed by the MSP lab"):
        read(tmp_path / "nowhere")
    (root / "Audios").rename(root / "Sounds")
    with pytest.raises(InputError, match=r"corpus msp_podcast: not found: Audios under .*MSP-Podcast is lic"):
        read(root)
    (root / "Audios").mkdir()
    with pytest.raises(
        InputError, match=r"none of the 14 turns that have votes is an item; the first bad row: .*"
    ):
        read(root, skip_bad_rows=True)
    (root / "Labels").rename(root / "Words")
    with pytest.raises(InputError, match=r"not found: Labels under "):
        read(root)


def test_a_rater_who_names_two_emotions_under_one_key_has_no_vote(root: Path) -> None:
    path = root / "Labels" / "labels_detailed.json"
    whole = path.read_text()
    at = whole.index('"EmoClass_Major"', whole.index(f'"{SECOND}.wav"'))
    path.write_text(f'{whole[:at]}"EmoClass_Major": "Happy", {whole[at:]}')
    items = refused(root, r"labels_detailed\.json:46", "names no primary emotion", labels="json")
    assert sum(items[SECOND].votes) == 4


@pytest.mark.parametrize("nothing", ["nan", "NA", "None", "NULL"])
def test_a_missing_emotion_is_no_vote_for_another_however_it_is_spelt(root: Path, nothing: str) -> None:
    write_votes(root, "columns")
    change(root, "labels_detailed.csv", f"0019.wav,{W1},Angry", f"0019.wav,{W1},{nothing}")
    items = refused(root, r"labels_detailed\.csv:8", f"'{W1}' names no primary emotion", labels="csv")
    assert sum(items[SECOND].votes) == 4
