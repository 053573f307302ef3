"""The acoustic writer end to end, on clips made here and on CREMA-D where it is at hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_curation.acoustic.writer import AcousticWriter
from data_curation.filters import check
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.base import open_corpus

CLASSES = CategorySet(("anger", "neutral", "sadness"))
RATE = 16_000


def clip(folder: Path, name: str, *, hz: float, level: float) -> str:
    t = np.arange(round(1.2 * RATE)) / RATE
    buzz = level * sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 12))
    quiet = np.random.default_rng(0).normal(0, 1e-4, RATE // 5)
    path = folder / f"{name}.wav"
    soundfile.write(path, np.concatenate([quiet, buzz, quiet]), RATE)
    return str(path)


def corpus(folder: Path, *, speaker: str | None = "s") -> list[Item]:
    loudness = (0.02, 0.02, 0.022, 0.02, 0.15)
    pitch = (120.0, 121.0, 119.0, 122.0, 240.0)
    return [
        Item(
            id=f"c{i}",
            votes=(float(i), 4.0 - i, 1.0),
            audio=clip(folder, f"c{i}", hz=hz, level=level),
            text="The surface is slick",
            speaker=speaker,
        )
        for i, (hz, level) in enumerate(zip(pitch, loudness, strict=True))
    ]


def test_a_loud_high_clip_of_a_soft_low_speaker_is_described_as_such(tmp_path: Path) -> None:
    items = corpus(tmp_path)
    reasoning, numbers = AcousticWriter(items, CLASSES, seed=0).write(items[4])
    assert numbers["level_db.score"] > 2.2 and numbers["pitch_st.score"] > 2.2
    assert numbers["pitch_hz"] == pytest.approx(240, abs=1)
    assert "speaker" in reasoning.volume
    assert any(word in reasoning.volume for word in ("raised", "loud"))
    assert any(word in reasoning.pitch for word in ("raised", "high"))
    assert reasoning.pitch.count("in a high register") == 1, "240 Hz in itself"
    assert "in a mid-deep register" in AcousticWriter(items, CLASSES, seed=0).write(items[0])[0].pitch
    assert reasoning.class_cues[0].category == "anger"
    assert check(reasoning, items[4].votes, CLASSES.names) == []


def test_the_same_seed_gives_the_same_text_in_any_order_and_another_seed_another(tmp_path: Path) -> None:
    items = corpus(tmp_path)
    first = {item.id: AcousticWriter(items, CLASSES, seed=3).write(item) for item in items}
    writer = AcousticWriter(items[::-1], CLASSES, seed=3)
    assert {item.id: writer.write(item) for item in reversed(items)} == first
    other = AcousticWriter(items, CLASSES, seed=4)
    assert any(other.write(item)[0] != first[item.id][0] for item in items)
    assert all(other.write(item)[1] == first[item.id][1] for item in items)


@pytest.mark.parametrize("speaker", [None, "alone"])
def test_without_enough_clips_of_the_speaker_the_corpus_is_the_yardstick_and_named(
    tmp_path: Path, speaker: str | None
) -> None:
    items = corpus(tmp_path)
    items[4] = replace(items[4], speaker=speaker)
    reasoning, _ = AcousticWriter(items, CLASSES, seed=0).write(items[4])
    assert "speaker" not in reasoning.volume
    assert "recordings" in reasoning.volume or "other clips" in reasoning.volume


def test_what_cannot_be_measured_is_refused_with_a_reason(tmp_path: Path) -> None:
    items = corpus(tmp_path)
    writer = AcousticWriter(items, CLASSES, seed=0)
    with pytest.raises(InputError, match=r"item x: no audio"):
        writer.write(Item(id="x", votes=(1.0, 0.0, 0.0), text="words"))
    with pytest.raises(InputError, match=r"no such file"):
        writer.write(Item(id="y", votes=(1.0, 0.0, 0.0), audio=str(tmp_path / "gone.wav")))
    with pytest.raises(InputError, match=r"only 2 clips can be measured"):
        AcousticWriter(items[:2], CLASSES, seed=0).write(items[0])


def test_a_damaged_clip_of_the_speaker_does_not_stop_the_others(tmp_path: Path) -> None:
    items = corpus(tmp_path)
    broken = tmp_path / "broken.wav"
    broken.write_text("<html>not found</html>")
    writer = AcousticWriter([*items, replace(items[0], id="b", audio=str(broken))], CLASSES, seed=0)
    assert writer.write(items[0])[0] == AcousticWriter(items, CLASSES, seed=0).write(items[0])[0]


def shared_crema_d() -> Path | None:
    places = (parent / "shared" / "data" / "CREMA-D" for parent in Path(__file__).resolve().parents)
    return next((place for place in places if place.is_dir()), None)


def test_on_crema_d_the_measures_are_those_of_speech() -> None:
    root = shared_crema_d()
    if root is None:
        pytest.skip("CREMA-D is not at hand: no folder shared/data/CREMA-D above the tests")
    corpus = open_corpus("crema_d", root)
    items = [item for item in corpus.read() if item.speaker in {"1001", "1003"}]
    writer = AcousticWriter(items, corpus.categories, seed=0)
    written = {item.id: writer.write(item) for item in items}
    assert not [i.id for i in items if check(written[i.id][0], i.votes, corpus.categories.names)]
    numbers = {name: measured for name, (_, measured) in written.items()}
    for speaker, low, high in (("1001", 80, 200), ("1003", 150, 300)):  # a man and a woman
        pitch = [m["pitch_hz"] for name, m in numbers.items() if name.startswith(speaker) and "_NEU_" in name]
        assert low < float(np.median(pitch)) < high
    scores = {
        emotion: np.mean([m["level_db.score"] for name, m in numbers.items() if emotion in name])
        for emotion in ("_ANG_", "_SAD_")
    }
    assert scores["_ANG_"] > scores["_SAD_"] + 0.5
