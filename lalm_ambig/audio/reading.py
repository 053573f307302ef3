"""Sound files as 16 kHz mono: what a model is given to hear."""

from pathlib import Path

import torch
import torchaudio.functional
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.audio.inspection import load_mono

RATE_HZ = 16_000
RATE_STEP_HZ = 25
"""Rates are taken to the nearest multiple, which is 0.1 % off at most from 12.5 kHz up: resampling from
44,101 Hz exactly would need a filter bank of gigabytes."""


def read_audio(path: Path | str, *, max_s: float | None = None) -> Float[Tensor, " sample"]:
    """Samples of a sound file as 16 kHz mono, full scale ±1: the mean of its channels, resampled.

    Args:
        path: Any format that libsndfile reads.
        max_s: Seconds from the beginning to read; None for the whole file.

    Raises UnusableAudio, an InputError, for every file that the check leaves out (see `inspection`).
    """
    mono, rate_hz, _ = load_mono(Path(path), max_s=max_s)
    step_hz = max(RATE_STEP_HZ, round(rate_hz / RATE_STEP_HZ) * RATE_STEP_HZ)
    samples = torch.from_numpy(mono)
    return samples if step_hz == RATE_HZ else torchaudio.functional.resample(samples, step_hz, RATE_HZ)
