"""What a corpus names lies in its folder, links followed, unless the user allows more; no odd file hangs a reader."""

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from data_curation.clips import open_clip
from lalm_ambig.audio.inspection import inspect_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus, open_corpus
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.reading.paths import Enclosure

ALLOW = r"--data\.corpus\.init_args\.allow_outside true"


def write_clip(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 3_200), 16_000)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A clip that is nobody's business, beside every corpus."""
    write_clip(tmp_path / "private" / "a.wav")
    return tmp_path / "private"


def manifest(folder: Path, audio: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "items.jsonl"
    path.write_text(json.dumps({"id": "a", "audio": audio, "votes": {"yes": 1, "no": 2}}) + "\n")
    return path


def read_audio_of(path: Path, **options: Any) -> str | None:
    [item] = JsonLines(path, **options).read()
    return item.audio


def linked_file(own: Path, private: Path) -> str:
    (own / "a.wav").symlink_to(private / "a.wav")
    return "a.wav"


def linked_folder(own: Path, private: Path) -> str:
    (own / "clips").symlink_to(private)
    return "clips/a.wav"


def link_to_a_link(own: Path, private: Path) -> str:
    (own / "b.wav").symlink_to(private / "a.wav")
    (own / "a.wav").symlink_to("b.wav")
    return "a.wav"


def folder_deep_behind_a_link(own: Path, private: Path) -> str:
    (own / "clips").symlink_to(private.parent)
    return "clips/private/a.wav"


@pytest.mark.parametrize("lead", [linked_file, linked_folder, link_to_a_link, folder_deep_behind_a_link])
def test_a_link_that_leads_out_is_refused_with_its_line_and_allowed_by_the_option(
    tmp_path: Path, private: Path, lead: Callable[[Path, Path], str]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    path = manifest(own, lead(own, private))
    with pytest.raises(
        InputError,
        match=rf"items\.jsonl:1: audio .* is not inside the file's folder: it leads to .*a\.wav\. {ALLOW}",
    ):
        read_audio_of(path)
    assert Path(str(read_audio_of(path, allow_outside=True))).is_file()


def test_links_within_the_folder_a_linked_root_and_an_absolute_path_into_it_are_fine(tmp_path: Path) -> None:
    own = tmp_path / "own"
    write_clip(own / "store" / "a.wav")
    (own / "clips").symlink_to("store")
    (own / "store" / "b.wav").symlink_to(own / "store" / "a.wav")
    (tmp_path / "link").symlink_to(own)
    path = manifest(own, "clips/b.wav")
    assert read_audio_of(path) == str(own / "clips" / "b.wav")
    assert read_audio_of(tmp_path / "link" / path.name) == str(tmp_path / "link" / "clips" / "b.wav")
    manifest(own, str(own / "store" / "a.wav"))
    assert read_audio_of(tmp_path / "link" / path.name) == str(own / "store" / "a.wav")


def test_a_folder_whose_name_begins_like_the_root_is_outside(tmp_path: Path) -> None:
    write_clip(tmp_path / "own-not" / "a.wav")
    with pytest.raises(InputError, match=r"is not inside the file's folder"):
        read_audio_of(manifest(tmp_path / "own", str(tmp_path / "own-not" / "a.wav")))


@pytest.mark.parametrize("audio", [".", "..", "", "clips/..", "a\0.wav"])
def test_what_is_no_path_of_a_file_is_refused(tmp_path: Path, audio: str) -> None:
    with pytest.raises(InputError, match=r"items\.jsonl:1: .*audio"):
        read_audio_of(manifest(tmp_path / "own", audio))


def test_each_folder_is_followed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[str] = []
    real = os.path.realpath
    enclosure = Enclosure(tmp_path)
    monkeypatch.setattr(
        "lalm_ambig.corpora.reading.paths.os.path.realpath",
        lambda path: followed.append(str(path)) or real(path),
    )
    assert all(enclosure.target(f"{tmp_path}/clips/{n}.wav") is None for n in range(100))
    assert followed == [f"{tmp_path}/clips"]


def sounds_of(corpus: Corpus) -> list[Path]:
    return [Path(item.audio) for item in corpus.read() if item.audio is not None]


@pytest.mark.parametrize("name", ["crema_d", "iemocap", "msp_podcast"])
@pytest.mark.parametrize("whole_folder", [False, True])
def test_sound_of_a_corpus_that_a_link_leads_out_to_is_refused(
    name: str, whole_folder: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root = (
        request.getfixturevalue("crema_d_root")
        if name == "crema_d"
        else importlib.import_module(f"layouts.{name}").write(tmp_path / name)
    )
    before = sounds_of(open_corpus(name, root))
    moved = before[0].parent if whole_folder else before[0]
    moved.rename(tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=rf"corpus {name}: .* leads to .*elsewhere, outside of .*{ALLOW}"):
        sounds_of(open_corpus(name, root))
    assert sounds_of(open_corpus(name, root, allow_outside=True)) == before
    (tmp_path / "root").symlink_to(root)
    with pytest.raises(InputError, match=r"outside of"):
        sounds_of(open_corpus(name, tmp_path / "root"))


def test_a_transcript_that_a_link_leads_out_to_is_refused_and_a_folder_is_a_bad_row(tmp_path: Path) -> None:
    root = importlib.import_module("layouts.msp_podcast").write(tmp_path / "msp")
    transcript = sorted((root / "Transcripts").glob("*.txt"))[0]
    (tmp_path / "key").write_text("secret")
    transcript.unlink()
    transcript.symlink_to(tmp_path / "key")
    with pytest.raises(InputError, match=r"Transcripts/.*\.txt leads to .*key, outside of"):
        list(open_corpus("msp_podcast", root).read())
    transcript.unlink()
    transcript.mkdir()
    with pytest.raises(InputError, match=r"this transcript cannot be read: Is a directory"):
        list(open_corpus("msp_podcast", root).read())


def test_pipes_devices_and_names_that_are_too_long_are_one_line_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/zero")):
        [problem] = inspect_audio(path).problems
        assert problem.line == f"{path}: no file but a pipe, socket or device: left out"
        with pytest.raises(InputError, match=r"no file but a pipe, socket or device"):
            open_clip(path, root=tmp_path)
    [problem] = inspect_audio(tmp_path / ("a" * 300)).problems
    assert problem.kind == "cannot be opened"
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    [problem] = inspect_audio(tmp_path / "loop.wav").problems
    assert problem.kind == "cannot be opened"
