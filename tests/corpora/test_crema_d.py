"""CREMA-D as distributed, its traps, and the real files where they are at hand."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from crema_d_rows import VOTES_HEADER, VOTES_ROWS, write_clip, write_votes

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.corpora.crema_d.votes import ACTORS
from lalm_ambig.corpora.reading.splits import split_by_group


def read(root: Path, **options: Any) -> list[Item]:
    return list(open_corpus("crema_d", root, **options).read())


def test_a_row_becomes_an_item_with_votes_in_class_order_sentence_and_actor(crema_d_root: Path) -> None:
    first, second, *_ = read(crema_d_root)
    assert first.id == "1001_IEO_NEU_XX"
    assert first.votes == (0, 0, 0, 1, 10, 0)
    assert first.text == "It's eleven o'clock."
    assert first.audio == str(crema_d_root / "AudioWAV" / "1001_IEO_NEU_XX.wav")
    assert (second.text, second.speaker, second.votes) == (
        "Don't forget a jacket.",
        "1002",
        (5, 3, 0, 0, 1, 0),
    )


def test_the_label_is_never_the_acted_emotion(crema_d_root: Path) -> None:
    corpus = CremaD(crema_d_root)
    sad = {item.id: item for item in corpus.read()}["1040_ITH_SAD_XX"]
    assert corpus.categories.names[sad.majority] == "neutral"


@pytest.mark.parametrize(
    ("votes", "first"),
    [("voice", (0, 0, 0, 1, 10, 0)), ("face", (0, 0, 0, 11, 0, 0)), ("audio_visual", (0, 0, 0, 0, 0, 7))],
)
def test_the_judged_modality_is_selectable(crema_d_root: Path, votes: str, first: tuple[int, ...]) -> None:
    items = read(crema_d_root, votes=votes)
    assert items[0].votes == first
    assert len(items) == (4 if votes == "voice" else 1)


def test_any_subset_works_and_says_how_many_of_all_clips_were_found(crema_d_root: Path) -> None:
    whole = {item.id: item.split for item in read(crema_d_root)}
    (crema_d_root / "AudioWAV" / "1001_IEO_NEU_XX.wav").unlink()
    write_clip(crema_d_root / "AudioWAV" / "1003_IEO_NEU_XX.wav")
    (crema_d_root / "AudioWAV" / "._1001_IEO_NEU_XX.wav").touch()
    corpus = CremaD(crema_d_root)
    part = list(corpus.read())
    assert [item.id for item in part] == ["1002_DFA_ANG_XX", "1040_ITH_SAD_XX", "1091_WSI_SAD_XX"]
    assert all(item.split == whole[item.id] for item in part)
    assert corpus.notes() == ("3 of 7,442 clips found", "1 sound files have no row of votes: left out")


@pytest.mark.parametrize("fold", [None, 0, 3])
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])
def test_a_subset_is_split_as_the_whole_corpus_is(crema_d_root: Path, seed: int, fold: int | None) -> None:
    """Four actors on disk: by themselves they would be split otherwise than among all 91."""
    splits = split_by_group(ACTORS, seed=seed, fold=fold)
    assert len(ACTORS) == 91
    found = {item.speaker: item.split for item in read(crema_d_root, seed=seed, fold=fold)}
    assert found == {actor: splits[actor] for actor in found}


def test_the_old_name_of_one_clip_is_understood_in_files_and_rows(crema_d_root: Path) -> None:
    audio = crema_d_root / "AudioWAV"
    (audio / "1040_ITH_SAD_XX.wav").rename(audio / "1040_ITH_SAD_X.wav")
    item = read(crema_d_root)[2]
    assert (item.id, Path(str(item.audio)).name) == ("1040_ITH_SAD_XX", "1040_ITH_SAD_X.wav")
    rows = [[*row[:7], "1040_ITH_SAD_X", 10] if row[0] == "100003" else row for row in VOTES_ROWS]
    write_votes(crema_d_root, rows)
    assert read(crema_d_root)[2].id == "1040_ITH_SAD_XX"


BAD_ROWS = {
    "zero": (["100005", 0, 0, 0, 0, 0, 0, "1003_IEO_NEU_XX", 0], "clip 1003_IEO_NEU_XX has no votes"),
    "duplicate": (["100005", 1, 0, 0, 0, 0, 0, "1001_IEO_NEU_XX", 1], "second row for clip 1001_IEO_NEU_XX"),
    "word": (
        ["100005", 1, "x", 0, 0, 0, 0, "1003_IEO_NEU_XX", 1],
        "column 'D' must hold a count of votes, got 'x'",
    ),
    "negative": (
        ["100005", 1, -1, 0, 0, 0, 0, "1003_IEO_NEU_XX", 1],
        "column 'D' must hold a count of votes, got '-1'",
    ),
    "name": (["100005", 1, 0, 0, 0, 0, 0, "1092_IEO_NEU_XX", 1], "'1092_IEO_NEU_XX' is no clip's name"),
    "sentence": (["100005", 1, 0, 0, 0, 0, 0, "1003_ZZZ_NEU_XX", 1], "'1003_ZZZ_NEU_XX' is no clip's name"),
    "modality": (
        ["400005", 1, 0, 0, 0, 0, 0, "1003_IEO_NEU_XX", 1],
        "must begin with 1, 2 or 3, got '400005'",
    ),
    "short": (["100005", 1, 0], "3 columns, but the header has 9"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_one_error_with_file_and_line_or_is_skipped_and_listed(
    crema_d_root: Path, kind: str
) -> None:
    row, reason = BAD_ROWS[kind]
    write_votes(crema_d_root, [*VOTES_ROWS, row])
    with pytest.raises(InputError, match=rf"tabulatedVotes\.csv:8: .*{reason}.*skip_bad_rows") as raised:
        read(crema_d_root)
    assert "\n" not in str(raised.value)
    corpus = CremaD(crema_d_root, skip_bad_rows=True)
    assert len(list(corpus.read())) == 4
    count, line = corpus.notes()[1:]
    assert count == "1 bad rows left out (4 kept):"
    assert reason in line


def test_a_missing_column_is_named(crema_d_root: Path) -> None:
    write_votes(
        crema_d_root, [row[:4] + row[5:] for row in VOTES_ROWS], [h for h in VOTES_HEADER if h != "H"]
    )
    with pytest.raises(
        InputError, match=r"tabulatedVotes\.csv:1: missing column 'H'; the file has .*fileName"
    ):
        read(crema_d_root)


def test_a_wrong_root_says_what_was_looked_for_where_and_how_to_obtain_it(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"corpus crema_d: not found: .*nowhere\. CREMA-D \(ODbL 1\.0\) is at github"
    ):
        read(tmp_path / "nowhere")
    with pytest.raises(
        InputError, match=r"not found: processedResults/tabulatedVotes\.csv under .*clone it with Git LFS"
    ):
        read(tmp_path)
    write_votes(tmp_path, VOTES_ROWS)
    with pytest.raises(InputError, match=r"not found: AudioWAV under"):
        read(tmp_path)
    (tmp_path / "AudioWAV").mkdir()
    with pytest.raises(InputError, match=r"none of the 4 clips that have votes is in .*AudioWAV"):
        read(tmp_path)


def test_unknown_settings_are_refused(crema_d_root: Path) -> None:
    with pytest.raises(InputError, match=r"votes must be one of voice, face, audio_visual, got 'ears'"):
        CremaD(crema_d_root, votes="ears")
    with pytest.raises(InputError, match=r"unknown part 'x': expected none"):
        CremaD(crema_d_root, part="x")
    with pytest.raises(InputError, match=r"fold must be 0 to 4, got 5"):
        CremaD(crema_d_root, fold=5)
    with pytest.raises(InputError, match=r"corpus crema_d: unknown option 'vote'"):
        open_corpus("crema_d", crema_d_root, vote="face")


def test_the_actors_are_cut_64_9_18() -> None:
    assert len(ACTORS) == 91
    sizes = Counter(split_by_group(ACTORS, seed=0).values())
    assert sizes == {"train": 64, "validation": 9, "test": 18}


def test_real_files_give_the_published_numbers(shared_data: Path) -> None:
    corpus = CremaD(shared_data / "CREMA-D")
    ballots = corpus.ballots()
    assert len(ballots) == 7442
    assert len({ballot.actor for ballot in ballots}) == 91
    items = list(corpus.read())
    assert len(items) == 1200
    assert corpus.notes() == ("1,200 of 7,442 clips found",)
    for votes in ("face", "audio_visual"):
        assert len(CremaD(shared_data / "CREMA-D", votes=votes).ballots()) == 7442
