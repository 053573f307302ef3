"""A clip on a grid of 10 ms: windows, their levels, and whether they are speech."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

RATE_HZ = 16_000
HOP = 160
"""Samples between frames: 10 ms."""
HOP_S = HOP / RATE_HZ
WINDOW = 800
"""Samples in a frame: 50 ms, three periods of the lowest pitch."""
SILENT_DB = -100.0
"""Level of digital silence, in dB relative to full scale."""
HEADROOM_DB = 30.0
"""Frames that are more dB below the clip's loud frames are not speech, in any recording."""
ABOVE_FLOOR = 0.3
"""Speech begins at this share of the distance from the background's level to that of the loud frames."""
LEAST_SPAN_DB = 6.0
"""Smallest distance in dB of loud frames from the background, below which speech cannot be told from it."""
LEAST_FRAMES = 8
"""Fewest frames of speech. A shorter burst is a click: each frame spans five steps, so it is a sound below 40 ms."""
LEAST_LOUD_DB = -75.0
"""A clip whose loud frames stay below this is silent."""


@dataclass(frozen=True)
class Frames:
    """Windows of a clip, with level and activity."""

    windows: Float[np.ndarray, "frame window"]
    level_db: Float[np.ndarray, " frame"]
    """Root mean square in dB relative to full scale, at least `SILENT_DB`."""
    active: Bool[np.ndarray, " frame"]
    """True where the frame is loud enough to be speech."""


def cut_frames(samples: Float[np.ndarray, " sample"]) -> Frames:
    """Cut a 16 kHz clip into windows of 50 ms. Frame t is centred on t · 10 ms; the clip is padded by half a window."""
    padded = np.pad(samples - samples.mean(), (WINDOW // 2, WINDOW - WINDOW // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.square(windows).mean(1)
    level_db = 10 * np.log10(np.maximum(power, 10 ** (SILENT_DB / 10)))
    return Frames(windows=windows, level_db=level_db, active=_active(level_db))


def _active(level_db: Float[np.ndarray, " frame"]) -> Bool[np.ndarray, " frame"]:
    active = _loud(level_db)
    for start, end in runs(active):
        if end - start < LEAST_FRAMES:
            active[start:end] = False
    return active


def _loud(level_db: Float[np.ndarray, " frame"]) -> Bool[np.ndarray, " frame"]:
    floor, loud = np.percentile(level_db, (10, 95))
    if loud < LEAST_LOUD_DB:
        return np.zeros(len(level_db), dtype=bool)
    if loud - floor < LEAST_SPAN_DB:
        return np.ones(len(level_db), dtype=bool)
    return np.asarray(level_db >= max(loud - HEADROOM_DB, floor + ABOVE_FLOOR * (loud - floor)))


def runs(mask: Bool[np.ndarray, " frame"]) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
