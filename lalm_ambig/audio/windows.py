"""A long recording as windows of what a model hears at once. Only one window is in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.audio.inspection import MIN_S, SILENT, UnusableAudio, check_samples, load_mono
from lalm_ambig.audio.reading import resampled

LARGEST_FLOAT = 8.0
"""Largest absolute sample of floats at full scale ±1: 18 dB of clipping."""
MOST_CHANNELS = 8
"""Most channels of an array; the longer axis is time."""


@dataclass(frozen=True)
class Window:
    """A part of a recording."""

    start_s: float
    end_s: float
    samples: Float[Tensor, " sample"] | None
    """16 kHz mono; None for a silent part of a recording that has sound elsewhere."""

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


def file_windows(path: Path | str, window_s: float) -> Iterator[Window]:
    """Yield the windows of a sound file, one after the other; a file that fits into one window gives one.

    A last window shorter than `MIN_S` is left out. A silent window has no samples.

    Args:
        path: Any format that libsndfile reads.
        window_s: Length of a window in seconds.

    Raises:
        UnusableAudio: The file cannot be used. Where its first window can, this comes later.
    """
    path = Path(path)
    try:
        mono, rate_hz, header = load_mono(path, max_s=window_s)
    except UnusableAudio as error:
        if error.kind != SILENT:
            raise
        yield from _after_silence(path, window_s, error)
        return
    total_s = header.frames / rate_hz
    yield Window(0.0, min(total_s, len(mono) / rate_hz), resampled(mono, rate_hz))
    if header.frames > len(mono):
        yield from _later_windows(path, window_s, total_s)


def _later_windows(path: Path, window_s: float, total_s: float) -> Iterator[Window]:
    start_s = window_s
    while total_s - start_s >= MIN_S:
        end_s = min(total_s, start_s + window_s)
        try:
            mono, rate_hz, _ = load_mono(path, max_s=window_s, start_s=start_s)
        except UnusableAudio as error:
            if error.kind != SILENT:
                raise
            yield Window(start_s, end_s, None)
        else:
            yield Window(start_s, end_s, resampled(mono, rate_hz))
        start_s += window_s


def _after_silence(path: Path, window_s: float, error: UnusableAudio) -> Iterator[Window]:
    """Yield the windows of a file that begins with a silent one, if any of them has sound."""
    with path.open("rb", buffering=0) as opened, soundfile.SoundFile(opened.fileno(), closefd=False) as file:
        total_s = file.frames / file.samplerate
    later = list(_later_windows(path, window_s, total_s))
    if all(window.samples is None for window in later):
        raise error
    yield Window(0.0, window_s, None)
    yield from later


def array_windows(array: np.ndarray, rate_hz: int, window_s: float, *, name: str) -> list[Window]:
    """The windows of samples in memory.

    Args:
        array: Samples of one channel, or of several on either axis; integers, or floats at full scale ±1.
        rate_hz: Their rate.
        window_s: Length of a window in seconds.
        name: Name for errors.

    Raises:
        UnusableAudio: They are too short, not finite, silent, not at full scale ±1, or of a wrong shape.
    """
    mono = _mono(array, name)
    if rate_hz < 1:
        raise UnusableAudio(name, "no rate", f"{rate_hz} Hz")
    check_samples(name, mono, rate_hz)
    if (peak := float(np.abs(mono).max())) > LARGEST_FLOAT:
        raise UnusableAudio(name, "floats that are not at full scale ±1", f"the largest is {peak:g}")
    size, windows = max(1, round(window_s * rate_hz)), []
    for start in range(0, len(mono), size):
        part = mono[start : start + size]
        if start and len(part) < MIN_S * rate_hz:
            continue
        try:
            check_samples(name, part, rate_hz)
            samples = resampled(np.ascontiguousarray(part), rate_hz)
        except UnusableAudio:  # silent, as the whole is neither short nor broken
            samples = None
        windows.append(Window(start / rate_hz, (start + len(part)) / rate_hz, samples))
    return windows


def _mono(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim == 2 and min(array.shape) <= MOST_CHANNELS:
        channels = array if array.shape[1] <= array.shape[0] else array.T
    elif array.ndim == 1:
        channels = array[:, None]
    else:
        raise UnusableAudio(name, "no samples of one or several channels", f"an array of {list(array.shape)}")
    if channels.dtype.kind in "iu":
        whole = np.iinfo(channels.dtype)
        middle = 0.0 if channels.dtype.kind == "i" else (whole.max + 1) / 2
        channels = (channels.astype(np.float32) - middle) / (whole.max + 1 - middle)
    elif channels.dtype.kind != "f":
        raise UnusableAudio(name, "no numbers", f"an array of {channels.dtype}")
    mono: np.ndarray = np.asarray(channels, dtype=np.float32).mean(axis=1)
    return mono
