"""A clip is found by its name without the ending, whatever that ending or its case; its content says what it is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import iemocap, msp_podcast

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.corpora.iemocap.corpus import Iemocap
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.msp_podcast.corpus import MspPodcast

ENDINGS = [".WAV", ".Wav", ".wave", ".flac", ".OGG", ".opus", ".mp3", ""]
Sounds = tuple[Callable[[], dict[str, str | None]], Path]


@pytest.fixture(params=["crema_d", "iemocap", "msp_podcast", "jsonl"])
def sounds(request: pytest.FixtureRequest, tmp_path: Path) -> Sounds:
    """What reads the ids and sound files of a small corpus, and one of those files."""
    if request.param == "crema_d":
        root = request.getfixturevalue("crema_d_root")
        return lambda: {i.id: i.audio for i in CremaD(root).read()}, root / "AudioWAV" / "1001_IEO_NEU_XX.wav"
    if request.param == "iemocap":
        root = iemocap.write(tmp_path / "iemocap")
        first = sorted((root / "Session1" / "sentences" / "wav" / iemocap.FIRST).glob("S*.wav"))[0]
        return lambda: {i.id: i.audio for i in Iemocap(root).read()}, first
    if request.param == "msp_podcast":
        root = msp_podcast.write(tmp_path / "msp")
        return lambda: {
            i.id: i.audio for i in MspPodcast(root).read()
        }, root / "Audios" / "MSP-PODCAST_0001_0008.wav"
    root = request.getfixturevalue("jsonl_root")
    return lambda: {i.id: i.audio for i in JsonLines(root).read()}, root.parent / "clips" / "1.wav"


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_ending_of_sound_in_any_case_is_the_clip(sounds: Sounds, ending: str) -> None:
    read, path = sounds
    before = read()
    other = path.rename(path.with_suffix(ending))
    after = read()
    expected = {key: str(other) if audio == str(path) else audio for key, audio in before.items()}
    assert after == expected


@pytest.mark.parametrize("ending", [".WAV", ".flac"])
def test_two_files_of_one_clip_are_refused(sounds: Sounds, ending: str) -> None:
    read, path = sounds
    shutil.copy(path, path.with_suffix(ending))
    if path.parent.name == "clips":  # the row says which
        assert str(path) in read().values()
        shutil.copy(path, path.with_suffix(".Wave"))
        path.unlink()
        reason = rf"items\.jsonl:3: there is no {path.name}, but 1\.\w+ and 1\.\w+: name one of them"
    else:
        reason = rf"two sound files for {path.stem}: .* Move one of them away"
    with pytest.raises(InputError, match=reason) as raised:
        read()
    assert "skip_bad_rows" not in str(raised.value)


def test_what_lies_beside_the_sound_is_none(sounds: Sounds) -> None:
    read, path = sounds
    before = read()
    for ending in (".txt", ".npy", ".TextGrid", ".wav.part", ".wav~", ".json"):
        path.with_name(f"{path.stem}{ending}").write_bytes(b"RIFF")
    path.with_name(f"._{path.stem}.WAV").write_bytes(b"\0\5\x16\7")
    path.with_name("README").write_text("How these were made.")
    assert read() == before


def test_a_row_may_name_its_clip_without_an_ending(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    (tmp_path / "a.FLAC").write_bytes(b"fLaC")
    path.write_text(json.dumps({"id": "x", "audio": "a", "votes": {"yes": 1, "no": 2}}) + "\n")
    [item] = JsonLines(path).read()
    assert item.audio == str(tmp_path / "a.FLAC")


@pytest.mark.parametrize(
    "row",
    [
        "MSP-PODCAST_test3_0001.wav,,,,,,,Test3",
        "MSP-PODCAST_Test3_0417.WAV,,,,,Unknown,,test3",
        "MSP-PODCAST_test3_0001,nan,nan,nan,nan,nan,nan,Test3",
        "MSP-PODCAST_9999_0001.wav,,,,,,,Test3",
    ],
)
def test_turns_of_the_hidden_part_may_have_names_of_their_own(tmp_path: Path, row: str) -> None:
    root = msp_podcast.write(tmp_path / "msp")
    before = list(MspPodcast(root).read())
    with (root / "Labels" / "labels_consensus.csv").open("a") as file:
        file.write(f"{row}\n")
    corpus = MspPodcast(root)
    assert list(corpus.read()) == before
    assert "1 turns of Test3 have no votes: left out" in corpus.notes()
