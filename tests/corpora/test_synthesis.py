"""The synthetic voice does what its cues say, listeners hear it, and rationales tell it without numbers."""

import re

import numpy as np
import pytest
import torch

from lalm_ambig.corpora.crema_d.votes import CATEGORIES, SENTENCES
from lalm_ambig.corpora.demo.perception import CUES, PROTOTYPES, cast_votes, perform
from lalm_ambig.corpora.demo.rationale import explain
from lalm_ambig.corpora.demo.voice import Speaker, speak, syllables_of

SPEAKER = Speaker(pitch_hz=120.0, tract=1.0, level_db=0.0)
VOWELS = np.array([0, 1, 2, 3, 4, 5, 0])


def sound(cue: str, value: float) -> torch.Tensor:
    cues = np.zeros(len(CUES))
    cues[CUES.index(cue)] = value
    return speak(SPEAKER, cues, vowels=VOWELS, rng=np.random.default_rng(3))


def power(samples: torch.Tensor, low_hz: float, high_hz: float) -> float:
    spectrum = torch.fft.rfft(samples).abs().square()
    hz = torch.fft.rfftfreq(len(samples), 1 / 16_000)
    return float(spectrum[(hz >= low_hz) & (hz < high_hz)].sum())


def pitch_track_hz(samples: torch.Tensor) -> torch.Tensor:
    """Pitch of the loud frames by autocorrelation, between 60 and 320 Hz."""
    frames = samples.unfold(0, 1024, 256) * torch.hann_window(1024)
    loud = frames.square().mean(-1) > 0.3 * samples.square().mean()
    spectrum = torch.fft.rfft(frames[loud], n=4096)
    correlation = torch.fft.irfft(spectrum.abs().square())[:, 50:267]
    return 16_000 / (correlation.argmax(-1) + 50)


def test_loudness_is_level() -> None:
    levels_db = [10 * float(sound("loudness", value).square().mean().log10()) for value in (-1, 0, 1)]
    assert np.diff(levels_db) == pytest.approx([3.5, 3.5], abs=0.1)
    assert levels_db[1] == pytest.approx(-27, abs=0.1)


def test_pitch_slope_and_range_move_the_fundamental() -> None:
    usual, high = (pitch_track_hz(sound("pitch", value)) for value in (0, 2))
    assert float(usual.median()) == pytest.approx(120, rel=0.06)
    assert float(high.median() / usual.median()) == pytest.approx(2 ** (5.2 / 12), rel=0.05)
    rising, falling = (pitch_track_hz(sound("slope", value)) for value in (2, -2))
    third = len(rising) // 3
    assert float(rising[-third:].median() / rising[:third].median()) > 1.1
    assert float(falling[-third:].median() / falling[:third].median()) < 0.9
    lively, flat = (pitch_track_hz(sound("range", value)).log().std() for value in (1.5, -1.5))
    assert float(lively) > 2 * float(flat)


def test_a_faster_voice_is_shorter() -> None:
    slow, usual, fast = (len(sound("rate", value)) for value in (-1, 0, 1))
    assert slow > usual > fast


def test_brightness_and_breathiness_change_the_spectrum() -> None:
    def tilt(samples: torch.Tensor) -> float:
        return power(samples, 1500, 3000) / power(samples, 50, 1000)

    assert (
        tilt(sound("brightness", 1.5))
        > 2 * tilt(sound("brightness", 0))
        > 4 * tilt(sound("brightness", -1.5))
    )
    breathy, clear = (sound("breathiness", value) for value in (2, -2))
    assert harmonicity(breathy) < harmonicity(clear)


def harmonicity(samples: torch.Tensor) -> float:
    frames = samples.unfold(0, 1024, 256)
    loud = frames[frames.square().mean(-1) > 0.3 * samples.square().mean()] * torch.hann_window(1024)
    correlation = torch.fft.irfft(torch.fft.rfft(loud, n=4096).abs().square())
    return float((correlation[:, 50:267].amax(-1) / correlation[:, 0]).mean())


def test_clips_never_clip_and_one_sentence_has_one_rhythm_of_vowels() -> None:
    loudest = speak(SPEAKER, np.full(len(CUES), 3.0), vowels=VOWELS, rng=np.random.default_rng(0))
    assert float(loudest.abs().max()) < 0.991
    for sentence in SENTENCES.values():
        assert 5 <= len(syllables_of(sentence)) <= 9
        assert (syllables_of(sentence) == syllables_of(sentence)).all()


def test_listeners_name_a_prototype_when_they_hear_it_and_differ_between_two() -> None:
    rng = np.random.default_rng(0)
    for emotion in range(len(PROTOTYPES)):
        shares = cast_votes(PROTOTYPES[emotion], 500, rng=rng) / 500
        assert shares.argmax() == emotion
        assert shares[emotion] > 0.7
    between = cast_votes((PROTOTYPES[0] + PROTOTYPES[3]) / 2, 500, rng=rng) / 500
    assert between[0] > 0.2
    assert between[3] > 0.2


def test_a_clip_has_eight_to_twelve_votes() -> None:
    rng = np.random.default_rng(0)
    sizes = {int(perform(n % 6, rng).votes.sum()) for n in range(200)}
    assert sizes == {8, 9, 10, 11, 12}


def test_a_rationale_names_cues_and_every_main_reading_but_no_number() -> None:
    rng = np.random.default_rng(1)
    for n in range(300):
        performance = perform(n % 6, rng)
        text = explain(performance.cues, performance.votes, classes=CATEGORIES.names, rng=rng)
        assert 18 <= len(text.split()) <= 45
        assert not re.search(r"\d|vote|percent|%", text)
        shares = performance.votes / performance.votes.sum()
        named = [name for name, share in zip(CATEGORIES.names, shares, strict=True) if share >= 0.2]
        assert all(name in text.lower() for name in named)
        absent = [name for name, share in zip(CATEGORIES.names, shares, strict=True) if share == 0]
        assert not any(name in text.lower() for name in absent)


def test_rationales_say_the_cues_that_stand_out() -> None:
    rng = np.random.default_rng(0)
    cues = np.zeros(len(CUES))
    cues[CUES.index("loudness")], cues[CUES.index("pitch")] = 1.6, -0.8
    text = explain(cues, np.array([9, 0, 0, 0, 1, 0]), classes=CATEGORIES.names, rng=rng)
    assert "very loud and low" in text
    assert "anger, as it is loud" in text
    assert "trace of neutral" in text
    plain = explain(
        np.zeros(len(CUES)), np.eye(6)[CATEGORIES.names.index("neutral")], classes=CATEGORIES.names, rng=rng
    )
    assert "close to the usual" in plain
