"""Measures the prosody of one clip."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from torch import Tensor

from data_curation.acoustic.frames import HOP_S, RATE_HZ, SILENT_DB, WINDOW, Frames, cut_frames, runs
from data_curation.acoustic.pitch import PitchTrack, track_pitch
from data_curation.acoustic.syllables import syllables_in_sound, syllables_in_text

LEAST_PAUSE_S = 0.2
"""Shortest pause in seconds. A shorter gap belongs to articulation (the closure of a stop), not to phrasing."""
LEAST_VOICED_S = 0.1
"""Least voiced time in seconds for pitch, its range and the colour of the voice."""
LEAST_CONTOUR_S = 0.3
"""Least time in seconds from the first to the last voiced frame for a contour."""
LEAST_APART = 1 / 3
"""Pairs of voiced frames that are closer than this share of the contour do not count for its slope."""
BASS_HZ, MIDDLE_HZ, TREBLE_HZ = 80.0, 1000.0, 5000.0
"""Edges of the two bands whose energies are compared."""


@dataclass(frozen=True)
class Measurement:
    """The measures of a clip; None where the clip does not allow a measure."""

    level_db: float
    """Root mean square over speech, in dB relative to full scale, in [-100, 0]."""
    level_range_db: float | None
    """10th to 90th percentile of the level over voiced frames, in dB: the variation of intensity."""
    rate_syl_s: float | None
    """Syllables per second of articulation, without pauses. They are counted in the transcript where there is one."""
    pause_count: int
    pause_share: float | None
    """Time of the pauses of at least 0.2 s, over the time from the first to the last speech frame, in [0, 1)."""
    pitch_hz: float | None
    """Median fundamental frequency, in Hz."""
    pitch_st: float | None
    """The same in semitones above 100 Hz."""
    pitch_range_st: float | None
    """10th to 90th percentile of the pitch, in semitones."""
    pitch_slope_st_s: float | None
    """Median slope between voiced frames (Theil-Sen), in semitones per second. Below 0 the melody falls."""
    tilt_db: float | None
    """Voiced energy at 1 to 5 kHz over that at 80 Hz to 1 kHz, without the background, in dB. High is bright."""
    harmonicity_db: float | None
    """Median harmonics-to-noise ratio over voiced frames, in dB. Low is breathy or rough."""

    def present(self) -> dict[str, float]:
        """The values that were measured, by name."""
        return {name: float(value) for name, value in asdict(self).items() if value is not None}


def measure(waveform: Float[Tensor, " sample"], text: str | None = None) -> Measurement:
    """Measure a clip.

    Args:
        waveform: 16 kHz mono, in [-1, 1].
        text: The transcript, to count syllables in.

    Returns:
        The measures. Silence has a level of -100 dB and no other measure.
    """
    samples = waveform.detach().cpu().double().numpy()
    frames = cut_frames(samples if len(samples) else np.zeros(WINDOW))
    track = track_pitch(frames)
    level_db = _mean_level(frames)
    enough = bool(track.voiced.sum() * HOP_S >= LEAST_VOICED_S)
    pauses, articulation_s = _phrasing(frames)
    return Measurement(
        level_db=level_db,
        level_range_db=_spread(frames.level_db[track.voiced]) if enough else None,
        rate_syl_s=_rate(frames, text, articulation_s),
        pause_count=len(pauses),
        pause_share=sum(pauses) / (sum(pauses) + articulation_s) if articulation_s > 0 else None,
        **_melody(track, enough=enough),
        **_colour(frames, track, enough=enough),
    )


def _mean_level(frames: Frames) -> float:
    if not frames.active.any():
        return SILENT_DB
    return float(10 * np.log10(np.mean(10 ** (frames.level_db[frames.active] / 10))))


def _phrasing(frames: Frames) -> tuple[list[float], float]:
    """Lengths of the pauses inside speech, and the time of articulation around them, in seconds."""
    speech = runs(frames.active)
    if not speech:
        return [], 0.0
    gaps = [(start - end) * HOP_S for (_, end), (start, _) in pairwise(speech)]
    pauses = [gap for gap in gaps if gap >= LEAST_PAUSE_S]
    return pauses, (speech[-1][1] - speech[0][0]) * HOP_S - sum(pauses)


def _rate(frames: Frames, text: str | None, articulation_s: float) -> float | None:
    if articulation_s < LEAST_PAUSE_S:
        return None
    count = syllables_in_text(text) if text else syllables_in_sound(frames)
    return count / articulation_s if count else None


def _melody(track: PitchTrack, *, enough: bool) -> dict[str, float | None]:
    names = ("pitch_hz", "pitch_st", "pitch_range_st", "pitch_slope_st_s")
    if not enough:
        return dict.fromkeys(names)
    semitones = 12 * np.log2(track.hz[track.voiced] / 100)
    median = float(np.median(semitones))
    slope = _slope(np.flatnonzero(track.voiced) * HOP_S, semitones)
    return dict(zip(names, (100 * 2 ** (median / 12), median, _spread(semitones), slope), strict=True))


def _slope(time_s: Float[np.ndarray, " voiced"], semitones: Float[np.ndarray, " voiced"]) -> float | None:
    if time_s[-1] - time_s[0] < LEAST_CONTOUR_S:
        return None
    first, second = np.triu_indices(len(time_s), 1)
    apart = time_s[second] - time_s[first]
    far = apart >= LEAST_APART * (time_s[-1] - time_s[0])
    return float(np.median((semitones[second] - semitones[first])[far] / apart[far]))


def _colour(frames: Frames, track: PitchTrack, *, enough: bool) -> dict[str, float | None]:
    if not enough:
        return {"tilt_db": None, "harmonicity_db": None}
    strength = track.strength[track.voiced]
    spectrum = _mean_spectrum(frames.windows[track.voiced])
    if not frames.active.all():
        spectrum = np.maximum(spectrum - _mean_spectrum(frames.windows[~frames.active]), 0.01 * spectrum)
    hz = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)
    low = spectrum[(hz >= BASS_HZ) & (hz < MIDDLE_HZ)].sum()
    high = spectrum[(hz >= MIDDLE_HZ) & (hz < TREBLE_HZ)].sum()
    return {
        "tilt_db": float(10 * np.log10(max(high, 1e-20) / max(low, 1e-20))),
        "harmonicity_db": float(np.median(10 * np.log10(strength / (1 - strength)))),
    }


def _mean_spectrum(windows: Float[np.ndarray, "frame window"]) -> Float[np.ndarray, " bin"]:
    return np.asarray(np.square(np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=1))).mean(0))


def _spread(values: Float[np.ndarray, " frame"]) -> float:
    low, high = np.percentile(values, (10, 90))
    return float(high - low)
