"""Sound files read as 16 kHz mono samples, as models take them."""

from pathlib import Path

import numpy as np
import torch
import torchaudio.functional
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.audio.inspection import load_mono

RATE_HZ = 16_000
RATE_STEP_HZ = 25
"""Rates are rounded to a multiple of this before resampling: at most 0.1 % off from 12.5 kHz up.

Resampling from exactly 44,101 Hz would need a filter bank of gigabytes."""


def read_audio(path: Path | str, *, max_s: float | None = None) -> Float[Tensor, " sample"]:
    """Read a sound file as 16 kHz mono samples, full scale ±1: the mean of its channels, resampled.

    Args:
        path: Any format that libsndfile reads.
        max_s: Seconds from the beginning to read; None for all.

    Returns:
        The samples.

    Raises:
        UnusableAudio: The check would leave the file out (see `inspection`). It is an InputError.
    """
    mono, rate_hz, _ = load_mono(Path(path), max_s=max_s)
    return resampled(mono, rate_hz)


def resampled(mono: np.ndarray, rate_hz: int) -> Float[Tensor, " sample"]:
    """The samples at 16 kHz.

    Args:
        mono: The samples, full scale ±1.
        rate_hz: Their rate.
    """
    step_hz = max(RATE_STEP_HZ, round(rate_hz / RATE_STEP_HZ) * RATE_STEP_HZ)
    samples = torch.from_numpy(mono)
    return samples if step_hz == RATE_HZ else torchaudio.functional.resample(samples, step_hz, RATE_HZ)
