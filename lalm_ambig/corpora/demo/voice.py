"""A voice from cues: a band-limited pulse train and noise, shaped by formants, in syllables.

No language is spoken: each syllable is a short hiss and a vowel. The cues of `perception` vary between clips of one
sentence; pitch and vocal tract vary between speakers.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.audio.reading import RATE_HZ
from lalm_ambig.corpora.demo.perception import CUES

VOWELS_HZ = torch.tensor(
    [
        [730.0, 1240.0, 2500.0, 3400.0],
        [530.0, 1840.0, 2480.0, 3500.0],
        [300.0, 2250.0, 2950.0, 3600.0],
        [560.0, 920.0, 2450.0, 3300.0],
        [330.0, 950.0, 2300.0, 3300.0],
        [520.0, 1300.0, 2400.0, 3400.0],
    ]
)
"""First four formants of the vowels, for a vocal tract of length 1."""
BANDWIDTHS_HZ = torch.tensor([80.0, 100.0, 140.0, 220.0])
FRAME, HOP = 512, 128
"""Samples of the short-time spectra in which the source is shaped."""
EDGE_S = 0.08
"""Quiet before the first and after the last syllable."""
SYLLABLE_S = 0.2
HISS_SHARE = 0.22
"""Part of a syllable that is its consonant."""
ROOM_LEVEL = 10 ** (-66 / 20)
LEVEL_DB = -27.0
"""Root mean square of an ordinary clip, in dB of full scale."""

DB_PER_CUE = 3.5
SEMITONES_PER_CUE = 2.6
RANGE_SEMITONES = 1.3
"""Distance of syllables from the mean pitch at an ordinary range; a cue of 1 makes it 1.6 times that."""
RANGE_PER_CUE = 1.6
SLOPE_SEMITONES_PER_CUE = 3.0
RATE_PER_CUE = 1.22
TILT_DB, TILT_DB_PER_CUE = -9.0, 3.0
"""Spectral tilt above 500 Hz, in dB per octave."""
BREATH_DB, BREATH_DB_PER_CUE = -22.0, 6.0
"""Level of the noise beside the pulses."""


@dataclass(frozen=True)
class Speaker:
    """The properties that all clips of an actor share."""

    pitch_hz: float
    tract: float
    """Formants are those of VOWELS_HZ times this."""
    level_db: float
    """Added to the level of every clip."""


def draw_speaker(rng: np.random.Generator) -> Speaker:
    """A low voice with a long vocal tract or a high voice with a short one."""
    if rng.random() < 0.5:
        return Speaker(rng.uniform(95, 135), rng.uniform(0.94, 1.02), rng.normal(0, 0.8))
    return Speaker(rng.uniform(175, 225), rng.uniform(1.1, 1.2), rng.normal(0, 0.8))


def speak(
    speaker: Speaker, cues: np.ndarray, *, vowels: np.ndarray, rng: np.random.Generator
) -> Float[Tensor, " sample"]:
    """A clip of about 1 to 2.5 s at 16 kHz: one syllable per vowel (index into VOWELS_HZ)."""
    cue = dict(zip(CUES, cues.tolist(), strict=True))
    noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
    seconds = _syllable_lengths(len(vowels), cue["rate"], rng=rng)
    samples = round((2 * EDGE_S + seconds.sum()) * RATE_HZ)
    time_s = torch.arange(samples) / RATE_HZ
    bounds_s = torch.from_numpy(EDGE_S + np.concatenate([[0.0], np.cumsum(seconds)])).float()
    pulses = _pulses(_pitch_hz(speaker, cue, time_s=time_s, bounds_s=bounds_s, rng=rng))
    breath = torch.randn(samples, generator=noise) * 10 ** (
        (BREATH_DB + BREATH_DB_PER_CUE * cue["breathiness"]) / 20
    )
    voiced, hissed = _envelopes(time_s, bounds_s)
    vowel_part = _shape(
        (pulses + breath) * voiced,
        _vowel_spectrum(speaker, cue, vowels=vowels, bounds_s=bounds_s, samples=samples),
    )
    hiss_part = _shape(torch.randn(samples, generator=noise) * hissed, _hiss_spectrum(samples))
    sound = vowel_part / _rms(vowel_part) + 0.18 * hiss_part / _rms(hiss_part)
    level = 10 ** ((LEVEL_DB + speaker.level_db + DB_PER_CUE * cue["loudness"]) / 20)
    room = torch.randn(samples, generator=noise) * ROOM_LEVEL
    clip: Tensor = sound * level / _rms(sound) + room
    return clip.clamp(-0.99, 0.99)


def _rms(sound: Tensor) -> Tensor:
    return sound.square().mean().sqrt()


def _syllable_lengths(count: int, rate: float, *, rng: np.random.Generator) -> np.ndarray:
    """Seconds of each syllable; the last is longer."""
    lengths = SYLLABLE_S / RATE_PER_CUE**rate * rng.uniform(0.85, 1.15, count)
    lengths[-1] *= 1.35
    return np.asarray(lengths)


def _pitch_hz(
    speaker: Speaker, cue: dict[str, float], *, time_s: Tensor, bounds_s: Tensor, rng: np.random.Generator
) -> Tensor:
    """Pitch at every sample: speaker, level, a rise or fall over the clip, a movement on every syllable."""
    count = len(bounds_s) - 1
    accents = np.where(np.arange(count) % 2 == 0, 1.0, -1.0) * rng.uniform(0.6, 1.4, count)
    accents *= RANGE_SEMITONES * RANGE_PER_CUE ** cue["range"]
    middles_s = (bounds_s[1:] + bounds_s[:-1]) / 2
    place = np.interp(time_s.numpy(), middles_s.numpy(), accents - accents.mean())
    span = (time_s / time_s[-1] - 0.5) * SLOPE_SEMITONES_PER_CUE * cue["slope"]
    semitones = SEMITONES_PER_CUE * cue["pitch"] + torch.from_numpy(place).float() + span
    pitch: Tensor = speaker.pitch_hz * torch.exp2(semitones / 12)
    return pitch


def _pulses(pitch_hz: Tensor) -> Tensor:
    """One pulse per period with all harmonics below half the rate equally strong (a closed sum of cosines)."""
    phase = torch.cumsum(pitch_hz.double() / RATE_HZ, 0)
    harmonics = torch.floor(0.47 * RATE_HZ / pitch_hz).double()
    half = torch.pi * torch.remainder(phase, 1.0)
    below = torch.sin(half)
    below = torch.where(below.abs() < 1e-6, torch.full_like(below, 1e-6), below)
    train = torch.sin((2 * harmonics + 1) * half) / below - 1
    return (train / (2 * harmonics).sqrt()).float()


def _envelopes(time_s: Tensor, bounds_s: Tensor) -> tuple[Tensor, Tensor]:
    """Strength of vowels and of consonants at every sample, in [0, 1]."""
    position = torch.searchsorted(bounds_s, time_s, right=True) - 1
    spoken = (position >= 0) & (position < len(bounds_s) - 1)
    position = position.clamp(0, len(bounds_s) - 2)
    within = (time_s - bounds_s[position]) / (bounds_s[position + 1] - bounds_s[position])
    vowel = ((within - HISS_SHARE) / (1 - HISS_SHARE)).clamp(0, 1)
    voiced = torch.sin(torch.pi * vowel).clamp(min=0).pow(0.6)
    hissed = torch.sin(torch.pi * (within / HISS_SHARE).clamp(0, 1)).clamp(min=0)
    return voiced * spoken, hissed * spoken


def _frequencies_hz() -> Tensor:
    return torch.linspace(0, RATE_HZ / 2, FRAME // 2 + 1)


def _vowel_spectrum(
    speaker: Speaker, cue: dict[str, float], *, vowels: np.ndarray, bounds_s: Tensor, samples: int
) -> Tensor:
    """Gain [frequency, frame]: formants that glide from vowel to vowel, and the tilt."""
    frames_s = torch.arange(samples // HOP + 1) * HOP / RATE_HZ
    middles_s = ((bounds_s[1:] + bounds_s[:-1]) / 2).numpy()
    targets = VOWELS_HZ[torch.from_numpy(vowels)].numpy() * speaker.tract
    tracks = [np.interp(frames_s.numpy(), middles_s, targets[:, f]) for f in range(targets.shape[1])]
    formants = torch.from_numpy(np.stack(tracks)).float()[:, None, :]
    hz = _frequencies_hz()[None, :, None]
    widths = BANDWIDTHS_HZ[:, None, None]
    resonance = (
        formants.square() / ((hz.square() - formants.square()).square() + (widths * hz).square()).sqrt()
    )
    octaves = torch.log2(_frequencies_hz().clamp(min=500) / 500)
    tilt = 10 ** ((TILT_DB + TILT_DB_PER_CUE * cue["brightness"]) * octaves / 20)
    gain: Tensor = resonance.log().sum(0).exp().pow(0.7) * tilt[:, None]
    return gain


def _hiss_spectrum(samples: int) -> Tensor:
    """Gain [frequency, frame] of consonants: a broad hill around 4.5 kHz."""
    hill = torch.exp(-0.5 * ((_frequencies_hz() - 4500) / 1200).square())
    return hill[:, None].expand(-1, samples // HOP + 1)


def _shape(source: Tensor, gain: Tensor) -> Tensor:
    """The source with its short-time spectrum multiplied by the gain."""
    window = torch.hann_window(FRAME)
    spectrum = torch.stft(source, FRAME, HOP, window=window, return_complex=True)
    shaped: Tensor = torch.istft(spectrum * gain, FRAME, HOP, window=window, length=len(source))
    return shaped


def syllables_of(sentence: str, *, shortest: int = 5, longest: int = 9) -> np.ndarray:
    """The vowels of a sentence: always the same for the same words, as many as it roughly has syllables."""
    count = min(
        longest, max(shortest, math.ceil(sum(letter in "aeiouy" for letter in sentence.lower()) * 0.75))
    )
    rng = np.random.default_rng(list(sentence.encode()))
    return rng.integers(0, len(VOWELS_HZ), count)
