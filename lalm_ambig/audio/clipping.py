"""Clipping of a recording: peaks that were too loud for the recorder, which cut them flat.

A flat top is a run of at least RUN neighbouring samples within one step of the clip's own peak, on one side of zero. A
clip that was made quieter after it was clipped has them, too. A lossy format rounds flat tops off, so its clipping is
seen only where samples reach full scale.
"""

from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float

from lalm_ambig.audio.inspection import UnusableAudio

RUN = 3
"""Fewest neighbouring samples of a flat top. A pure tone under 20 Hz at 16 kHz has as many without clipping."""
FEWEST_TOPS = 5
"""Flat tops from which on a clip counts as clipped: fewer come by chance."""
QUIET = 0.02
"""Peak (full scale 1) under which nothing is called clipped: steps are too coarse there."""
STEP, COARSE_STEP = 1 / 2**15, 1 / 2**7
"""One step of a 16-bit and of an 8-bit sample."""
COARSE = frozenset(("PCM_S8", "PCM_U8", "ULAW", "ALAW"))
"""libsndfile's names of samples with eight bits."""


def flat_tops(samples: Float[np.ndarray, " sample"], *, step: float = STEP) -> int:
    """Count the runs of at least RUN neighbouring samples at a clip's peak.

    Args:
        samples: One channel, full scale ±1.
        step: Largest distance from the peak.

    >>> flat_tops(np.array([0.0, 0.5, 0.5, 0.5, 0.0, -0.5, -0.5, -0.5, 0.2]))
    2
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak < QUIET:
        return 0
    return sum(_runs(side >= peak - step) for side in (samples, -samples))


def _runs(at_peak: np.ndarray) -> int:
    """Number of runs of True with at least RUN elements."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], at_peak.astype(np.int8), [0]))))
    lengths = edges[1::2] - edges[::2]
    return int((lengths >= RUN).sum())


def flat_tops_of(path: Path | str) -> int:
    """Count the flat tops of a sound file, in the channel that has most.

    Args:
        path: A file that the check before training accepts (`inspection`).

    Raises:
        UnusableAudio: The file cannot be decoded.
    """
    try:
        with (
            Path(path).open("rb", buffering=0) as opened,
            soundfile.SoundFile(opened.fileno(), closefd=False) as file,
        ):
            step = COARSE_STEP if file.subtype in COARSE else STEP
            channels = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UnusableAudio(path, "cannot be decoded", str(error).rstrip(".")) from error
    return max(flat_tops(channel, step=step) for channel in channels.T)


def is_clipped(tops: int) -> bool:
    """Whether a clip with so many flat tops counts as clipped."""
    return tops >= FEWEST_TOPS
