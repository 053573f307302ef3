"""A check that was killed goes on where it was, and nothing is taken over from files that have changed since."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from crema_d_rows import write_clip

import lalm_ambig.corpora.preparing.checking as checking
from lalm_ambig.audio.inspection import Inspection, inspect_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.jsonl import corpus as jsonl
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.preparing import inspections
from lalm_ambig.corpora.preparing.prepared import prepare

CLIPS = 6


class Looks:
    """The sound files that were decoded; the one after `until` is as far as the process comes."""

    def __init__(self, until: int | None = None) -> None:
        self.names: list[str] = []
        self.until = until

    def __call__(self, path: str) -> Inspection:
        if self.until is not None and len(self.names) >= self.until:
            raise KeyboardInterrupt
        self.names.append(Path(path).name)
        return inspect_audio(path)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of rows with clips, checked one clip at a time, with results on disk after each."""
    monkeypatch.setattr(checking, "ITEMS_AT_ONCE", 1)
    monkeypatch.setattr(inspections, "FILES_AT_ONCE", 1)
    path = tmp_path / "rows.jsonl"
    for n in range(CLIPS):
        write_clip(tmp_path / f"{n}.wav", seconds=0.2 + 0.1 * n)
    write(path, range(CLIPS))
    return path


def write(path: Path, numbers: Any) -> None:
    rows = [{"id": str(n), "audio": f"{n}.wav", "votes": {"joy": 1, "fear": 2}} for n in numbers]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def looked_at(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[list[str], list[float]]:
    """Names of the clips that a check decodes, and all durations."""
    looks = Looks()
    monkeypatch.setattr(checking, "inspect_audio", looks)
    prepared = prepare(JsonLines(path, **options), cache_dir=path.parent / "cache", quiet=True)
    return sorted(looks.names), [round(item.duration_s, 1) for item in prepared.items()]


def kill(path: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    monkeypatch.setattr(checking, "inspect_audio", Looks(after))
    with pytest.raises(KeyboardInterrupt):
        prepare(JsonLines(path), cache_dir=path.parent / "cache", quiet=True)


def test_a_killed_check_decodes_only_what_is_left_and_reads_no_label(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(rows, monkeypatch, after=4)

    def refuse(_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(JsonLines, "read", refuse)
    names, durations_s = looked_at(rows, monkeypatch)
    assert names == ["4.wav", "5.wav"]
    assert durations_s == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_a_clip_that_changed_after_the_kill_is_decoded_again(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(rows, monkeypatch, after=4)
    write_clip(rows.parent / "1.wav", seconds=0.9)
    os.utime(rows.parent / "2.wav", (1, 1))
    names, durations_s = looked_at(rows, monkeypatch)
    assert names == ["1.wav", "2.wav", "4.wav", "5.wav"]
    assert durations_s[1] == 0.9


def test_another_split_and_a_file_that_grew_decode_only_new_clips(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(looked_at(rows, monkeypatch)[0]) == CLIPS
    assert looked_at(rows, monkeypatch, seed=1) == ([], [0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    write_clip(rows.parent / "9.wav", seconds=1.0)
    write(rows, [*range(CLIPS), 9])
    assert looked_at(rows, monkeypatch) == (["9.wav"], [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0])


def test_a_clip_that_cannot_be_used_is_looked_at_again(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (rows.parent / "3.wav").write_bytes(b"")
    assert len(looked_at(rows, monkeypatch)[1]) == CLIPS - 1
    assert looked_at(rows, monkeypatch, seed=1)[0] == ["3.wav"]


def test_notes_on_a_clip_that_is_used_come_again_with_it(rows: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(rows.parent / "2.wav", samples, 16_000, format="FLAC")
    first, second = (
        prepare(JsonLines(rows, seed=seed), cache_dir=rows.parent / "cache", quiet=True) for seed in (0, 1)
    )
    assert any("content is not what the extension says" in note for note in first.notes)
    assert first.notes == second.notes


def test_a_result_that_is_half_written_is_never_read(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(rows, monkeypatch, after=2)
    [folder] = (rows.parent / "cache" / "corpora").glob("*-sounds-*")
    (folder / ".unfinished-a.json").write_text('{"0.wav": [')
    assert looked_at(rows, monkeypatch)[0] == ["2.wav", "3.wav", "4.wav", "5.wav"]


def test_rows_that_are_written_to_while_they_are_read_are_refused(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = JsonLines.read

    def grows(corpus: JsonLines) -> Any:
        yield from read(corpus)
        with rows.open("a") as file:
            file.write("\n")

    monkeypatch.setattr(JsonLines, "read", grows)
    with pytest.raises(InputError, match=r"label files changed while they were read\. Start again once they"):
        prepare(JsonLines(rows), cache_dir=rows.parent / "cache", quiet=True)
    assert not list((rows.parent / "cache" / "corpora").glob("jsonl-*.json"))


def test_what_the_rows_say_together_is_read_from_disk_while_they_stay_the_same(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = JsonLines(rows)
    assert (first.prompt, first.draws_splits) == ("speech_emotion", True)

    def refuse(*_: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patched:
        patched.setattr(JsonLines, "_rows", refuse)
        again = JsonLines(rows)
        assert (again.prompt, again.draws_splits) == ("speech_emotion", True)
        assert again.categories.names == ("fear", "joy")
    assert sorted(item.split for item in again.read()) == sorted(item.split for item in first.read())
    row = {"id": "x", "text": "a", "votes": {"joy": 1, "awe": 1}, "split": "test"}
    rows.write_text(json.dumps(row))
    changed = JsonLines(rows)
    assert (changed.prompt, changed.draws_splits) == ("text_emotion", False)
    assert changed.categories.names == ("awe", "joy")


def test_a_file_that_changes_while_it_is_read_leaves_no_facts_about_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "rows.jsonl"
    file.write_text('{"id": "a", "text": "t", "votes": {"x": 1, "y": 2}, "split": "train"}\n')
    read = jsonl.scanned

    def scanned(*words: Any, **settings: Any) -> Any:
        found = read(*words, **settings)
        with file.open("a") as more:
            more.write('{"id": "b", "text": "u", "votes": {"z": 1}, "split": "train"}\n')
        return found

    for change, kept in ((scanned, False), (read, True)):
        monkeypatch.setattr(jsonl, "scanned", change)
        corpus = JsonLines(root=file)
        before = corpus._fingerprint()
        assert corpus.categories.names
        assert (jsonl.load_scan(before) is not None) == kept
