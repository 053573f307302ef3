"""The check before training: what it leaves out, says and remembers, and when it must look again."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from crema_d_rows import VOTES_ROWS, write_clip, write_votes

import lalm_ambig.corpora.preparing.checking
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.preparing.prepared import Prepared, prepare


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def ready(root: Path, cache: Path, **options: Any) -> Prepared:
    return prepare(CremaD(root), cache_dir=cache, quiet=True, **options)


def test_items_come_back_as_they_were_read_with_their_duration(crema_d_root: Path, cache: Path) -> None:
    read = {item.id: item for item in CremaD(crema_d_root).read()}
    prepared = ready(crema_d_root, cache)
    for item in prepared.items():
        assert item.duration_s == 0.2
        original = read.pop(item.id)
        assert (item.votes, item.audio, item.text) == (original.votes, original.audio, original.text)
        assert (item.split, item.speaker, item.rationale) == (original.split, original.speaker, None)
    assert not read
    assert prepared.categories == CremaD(crema_d_root).categories
    assert prepared.notes == ("4 of 7,442 clips found",)


def test_splits_are_lazy_views_of_one_table(jsonl_root: Path, cache: Path) -> None:
    prepared = prepare(JsonLines(jsonl_root), cache_dir=cache, quiet=True)
    for split in SPLITS:
        view = prepared.items(split)
        assert {item.split for item in view} == {split}
        assert [tuple(row) for row in view.votes().tolist()] == [item.votes for item in view]
        assert view.durations_s().tolist() == pytest.approx([item.duration_s for item in view])
        assert [item.id for item in view[1:3]] == [item.id for item in view][1:3]
        assert view[-1] == list(view)[-1]
        assert list(pickle.loads(pickle.dumps(view))) == list(view)
    assert sum(len(prepared.items(split)) for split in SPLITS) == len(prepared.items()) == 20
    with pytest.raises(IndexError):
        prepared.items()[20]


def test_damaged_clips_are_left_out_counted_and_listed(crema_d_root: Path, cache: Path) -> None:
    audio = crema_d_root / "AudioWAV"
    (audio / "1001_IEO_NEU_XX.wav").write_bytes(b"\x00\x01 no sound \xff")
    soundfile.write(
        audio / "1002_DFA_ANG_XX.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000, format="FLAC"
    )
    prepared = ready(crema_d_root, cache)
    assert prepared.left_out == 1
    assert "1001_IEO_NEU_XX" not in [item.id for item in prepared.items()]
    assert len(prepared.items()) == 3
    assert prepared.notes[1] == "1 of 4 items left out:"
    assert "1001_IEO_NEU_XX.wav: cannot be decoded" in prepared.notes[2]
    assert "1002_DFA_ANG_XX.wav: content is not what the extension says (FLAC): kept" in prepared.notes[3]
    assert (prepared.folder / "problems.txt").read_text().splitlines() == list(prepared.notes[2:])


def test_a_page_in_place_of_a_clip_is_a_failed_download_and_stops_the_check(
    crema_d_root: Path, cache: Path
) -> None:
    (crema_d_root / "AudioWAV" / "1001_IEO_NEU_XX.wav").write_text("<html></html>")
    with pytest.raises(
        InputError,
        match=r"1 of its sound files hold none; the first: .*1001_IEO_NEU_XX\.wav: an HTML or XML page instead "
        r"of sound\. Fetch them again, or remove them\.",
    ):
        ready(crema_d_root, cache)


def test_of_each_kind_ten_lines_are_shown_and_all_are_on_file(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": str(n), "audio": f"{n}.wav", "votes": {"a": 1, "b": 2}} for n in range(30)]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(f"{row}\n".replace("'", '"') for row in rows))
    for n in range(15):
        write_clip(tmp_path / f"{n}.wav")
    for n in range(15, 27):
        (tmp_path / f"{n}.wav").touch()
    prepared = prepare(JsonLines(path), cache_dir=cache)
    assert prepared.left_out == 15
    shown = capsys.readouterr().err
    assert shown.count("empty file: left out") == 10
    assert f"empty file: 2 more of 12, all in {prepared.folder / 'problems.txt'}" in shown
    assert shown.count("no such file: left out") == 3
    assert len((prepared.folder / "problems.txt").read_text().splitlines()) == 15


def test_a_second_start_reads_no_label_and_opens_no_sound(
    crema_d_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ready(crema_d_root, cache)

    def refuse(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(CremaD, "read", refuse)
    monkeypatch.setattr(lalm_ambig.corpora.preparing.checking, "inspect_audio", refuse)
    second = ready(crema_d_root, cache)
    assert second.from_cache
    assert not first.from_cache
    assert list(second.items()) == list(first.items())
    assert second.notes == first.notes


@pytest.mark.parametrize(
    "change", ["votes", "new clip", "touched clip", "seed", "unchecked", "other clip's size"]
)
def test_whatever_matters_makes_it_look_again(crema_d_root: Path, cache: Path, change: str) -> None:
    (crema_d_root / "AudioWAV" / "1091_WSI_SAD_XX.wav").unlink()
    ready(crema_d_root, cache)
    corpus = CremaD(crema_d_root, seed=1 if change == "seed" else 0)
    if change == "votes":
        write_votes(crema_d_root, [["100001", 9, 0, 0, 0, 0, 0, "1001_IEO_NEU_XX", 9], *VOTES_ROWS[1:]])
    elif change == "new clip":
        write_clip(crema_d_root / "AudioWAV" / "1091_WSI_SAD_XX.wav")
    elif change == "touched clip":
        os.utime(crema_d_root / "AudioWAV" / "1002_DFA_ANG_XX.wav", (1, 1))
    elif change == "other clip's size":
        write_clip(crema_d_root / "AudioWAV" / "1002_DFA_ANG_XX.wav", seconds=0.5)
    again = prepare(corpus, cache_dir=cache, check_audio=change != "unchecked", quiet=True)
    assert not again.from_cache
    assert len(again.items()) == (4 if change == "new clip" else 3)


def test_what_does_not_matter_leaves_the_cache_valid(crema_d_root: Path, cache: Path) -> None:
    ready(crema_d_root, cache)
    (crema_d_root / "AudioWAV" / "._1002_DFA_ANG_XX.wav").touch()
    (crema_d_root / "AudioWAV" / "notes.txt").touch()
    assert ready(crema_d_root, cache).from_cache


def test_without_the_check_no_sound_is_opened(crema_d_root: Path, cache: Path) -> None:
    (crema_d_root / "AudioWAV" / "1001_IEO_NEU_XX.wav").write_text("<html></html>")
    prepared = ready(crema_d_root, cache, check_audio=False)
    assert prepared.left_out == 0
    assert prepared.items().durations_s().tolist() == [0, 0, 0, 0]


def test_nothing_half_written_has_a_final_name(
    crema_d_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lalm_ambig.corpora.preparing.checking, "inspect_audio", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ready(crema_d_root, cache)
    assert not list((cache / "corpora").glob("*/check.json"))


def test_a_corpus_without_a_usable_clip_is_an_error(crema_d_root: Path, cache: Path) -> None:
    for path in (crema_d_root / "AudioWAV").iterdir():
        path.write_bytes(b"")
    with pytest.raises(
        InputError, match=r"corpus crema_d: all 4 items were left out; the first: .*empty file"
    ):
        ready(crema_d_root, cache)
    assert not list((cache / "corpora").glob("*/check.json"))


def test_the_cache_is_where_xdg_says(
    crema_d_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    prepared = prepare(CremaD(crema_d_root), quiet=True)
    assert prepared.folder.is_relative_to(tmp_path / "xdg" / "lalm_ambig" / "corpora")


def test_real_clips_are_all_kept(shared_data: Path, cache: Path) -> None:
    prepared = ready(shared_data / "CREMA-D", cache)
    assert (len(prepared.items()), prepared.left_out) == (1200, 0)
    assert [len(prepared.items(split)) for split in SPLITS] == [810, 90, 300]
    durations_s = prepared.items().durations_s()
    assert 1 < float(durations_s.min()) < float(durations_s.max()) < 6
