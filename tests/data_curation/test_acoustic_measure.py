"""The measures of the acoustic writer on signals whose pitch, level, rate and colour are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from data_curation.acoustic.frames import cut_frames, runs
from data_curation.acoustic.measure import measure
from data_curation.acoustic.pitch import track_pitch
from data_curation.acoustic.syllables import syllables_in_sound, syllables_in_text

RATE = 16_000


def voice(
    hz: np.ndarray | float, *, seconds: float = 1.5, level: float = 0.1, decay: float = 1.0
) -> np.ndarray:
    """A buzz with harmonics that fall off as 1/k^decay, of the given level, and 0.2 s of silence around."""
    n = round(seconds * RATE)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, n)) / RATE
    top = int(7000 / np.max(hz))
    buzz = sum(np.sin(k * phase) / k**decay for k in range(1, top + 1))
    buzz *= level / np.sqrt(np.mean(np.square(buzz)))
    quiet = np.random.default_rng(0).normal(0, 1e-5, round(0.2 * RATE))
    return np.concatenate([quiet, buzz, quiet])


def tensor(samples: np.ndarray) -> Tensor:
    return torch.from_numpy(samples.astype(np.float32))


@pytest.mark.parametrize("hz", [75.0, 110.0, 187.3, 240.0, 333.0, 520.0])
def test_the_pitch_of_a_steady_voice_is_found_within_a_tenth_of_a_semitone(hz: float) -> None:
    measured = measure(tensor(voice(hz))).pitch_hz
    assert measured is not None
    assert abs(12 * math.log2(measured / hz)) < 0.1


@pytest.mark.parametrize("decay", [0.3, 1.0, 2.0])
def test_no_frame_of_a_noisy_voice_is_an_octave_off(decay: float) -> None:
    samples = voice(150.0, decay=decay) + np.random.default_rng(1).normal(0, 0.005, round(1.9 * RATE))
    hz = track_pitch(cut_frames(samples)).hz
    assert (hz > 0).mean() > 0.7
    assert np.abs(12 * np.log2(hz[hz > 0] / 150)).max() < 1


def test_a_missing_fundamental_is_heard() -> None:
    t = np.arange(RATE) / RATE
    samples = 0.1 * sum(np.sin(2 * np.pi * 120 * k * t) for k in range(3, 12))
    measured = measure(tensor(samples)).pitch_hz
    assert measured == pytest.approx(120, rel=0.01)


@pytest.mark.parametrize("kind", ["noise", "silence"])
def test_noise_and_silence_have_no_pitch_and_no_colour(kind: str) -> None:
    scale = 0.1 if kind == "noise" else 0.0
    measured = measure(tensor(np.random.default_rng(2).normal(0, 1, RATE) * scale))
    assert (measured.pitch_hz, measured.pitch_slope_st_s, measured.tilt_db) == (None, None, None)


def test_silence_and_an_empty_clip_give_a_level_and_nothing_else() -> None:
    for samples in (np.zeros(RATE), np.zeros(0)):
        assert measure(tensor(samples), "some words").present() == {"level_db": -100.0, "pause_count": 0.0}


@pytest.mark.parametrize("level", [0.003, 0.03, 0.3])
def test_level_is_the_root_mean_square_of_the_speech_without_the_silence_around_it(level: float) -> None:
    assert measure(tensor(voice(140.0, level=level))).level_db == pytest.approx(
        20 * math.log10(level), abs=0.5
    )


@pytest.mark.parametrize("slope", [-8.0, -2.0, 0.0, 3.0, 9.0])
def test_slope_and_range_of_a_glide_are_those_it_was_made_with(slope: float) -> None:
    t = np.arange(round(1.5 * RATE)) / RATE
    measured = measure(tensor(voice(160 * 2 ** (slope * (t - 0.75) / 12))))
    assert measured.pitch_slope_st_s == pytest.approx(slope, abs=0.15)
    assert measured.pitch_range_st == pytest.approx(0.8 * 1.5 * abs(slope), abs=0.3)


def test_a_voice_with_stronger_harmonics_is_brighter_and_one_in_noise_less_harmonic() -> None:
    bright, dark = measure(tensor(voice(150.0, decay=0.5))), measure(tensor(voice(150.0, decay=2.0)))
    assert bright.tilt_db is not None and dark.tilt_db is not None
    assert bright.tilt_db > dark.tilt_db + 10
    noise = np.random.default_rng(3).normal(0, 0.03, round(1.9 * RATE))
    rough, clear = measure(tensor(voice(150.0) + noise)), measure(tensor(voice(150.0)))
    assert rough.harmonicity_db is not None and clear.harmonicity_db is not None
    assert rough.harmonicity_db < clear.harmonicity_db - 10


@pytest.mark.parametrize(("gap_s", "pauses"), [(0.1, 0), (0.4, 1)])
def test_a_gap_is_a_pause_from_a_fifth_of_a_second(gap_s: float, pauses: int) -> None:
    burst = voice(150.0, seconds=0.8)[round(0.2 * RATE) : -round(0.2 * RATE)]
    measured = measure(tensor(np.concatenate([burst, np.zeros(round(gap_s * RATE)), burst])), "a b c d")
    assert measured.pause_count == pauses
    assert measured.pause_share == pytest.approx(gap_s / (1.6 + gap_s) if pauses else 0.0, abs=0.03)
    assert measured.rate_syl_s == pytest.approx(4 / (1.6 + (0 if pauses else gap_s)), rel=0.06)


@pytest.mark.parametrize("syllables", [3, 5, 8])
def test_syllables_without_a_text_are_counted_by_their_loudness_peaks(syllables: int) -> None:
    t = np.arange(round(syllables * 0.2 * RATE)) / RATE
    swell = 10 ** (-0.6 * (1 + np.cos(2 * np.pi * t / 0.2)))  # one peak each 0.2 s, 24 dB deep
    samples = voice(150.0, seconds=syllables * 0.2)
    samples[round(0.2 * RATE) : -round(0.2 * RATE)] *= swell
    assert syllables_in_sound(cut_frames(samples)) == syllables
    measured = measure(tensor(samples)).rate_syl_s
    assert measured == pytest.approx(5, rel=0.15)


@pytest.mark.parametrize(
    ("text", "syllables"),
    [
        ("It's eleven o'clock", 6),
        ("Don't forget a jacket", 6),
        ("That is exactly what happened", 8),
        ("Maybe tomorrow it will be cold", 9),
        ("The surface is slick", 5),
        ("", 0),
        ("42 !", 0),
    ],
)
def test_syllables_of_a_text_are_counted_by_rule(text: str, syllables: int) -> None:
    assert abs(syllables_in_text(text) - syllables) <= 1
    assert (syllables_in_text(text) == 0) == (syllables == 0)


def test_a_click_is_not_speech() -> None:
    samples = np.zeros(2 * RATE)
    samples[RATE // 2 : RATE // 2 + 20] = 0.9
    frames = cut_frames(np.concatenate([samples, voice(150.0), samples]))
    assert [end - start > 100 for start, end in runs(frames.active)] == [True]
