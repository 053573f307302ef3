"""Compares a clip with other clips: the scores that sentences are made from."""

from collections.abc import Sequence

import numpy as np

from data_curation.acoustic.measure import Measurement
from data_curation.acoustic.terms import Against, Standing

LEAST_CLIPS = 4
"""Fewest clips of a speaker that tell the speaker's usual voice."""
SMALLEST_SCALE = {
    "level_db": 1.0,
    "level_range_db": 1.0,
    "rate_syl_s": 0.3,
    "pitch_st": 0.5,
    "pitch_range_st": 1.0,
    "tilt_db": 1.0,
    "harmonicity_db": 1.0,
}
"""The measures that are compared with other clips, and the smallest deviation that counts as one unit. It is about what
a listener notices, so that small changes of a very even speaker are not called striking."""
MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
SLOPE_UNIT_ST_S = 3.0
"""Unit of the contour's score, which does not depend on other clips. Above 0 the contour rises."""
PAUSE_UNIT = 0.12
"""Unit of the score of pauses, which is their share of the time and does not depend on other clips."""


def standing_among(clip: Measurement, others: Sequence[Measurement], *, against: Against) -> Standing:
    r"""Scores of a clip among other clips.

    $$z = \frac{x - \operatorname{median}}{\max(1.4826 \, \mathrm{MAD}, \text{smallest scale})}$$

    Args:
        clip: Measures of the clip.
        others: Measures of the other clips.
        against: Whether these are the speaker's or the corpus's.
    """
    values = clip.present()
    scores = {
        name: _robust_z(
            values[name], [value for other in others if (value := getattr(other, name)) is not None], least
        )
        for name, least in SMALLEST_SCALE.items()
        if name in values
    }
    if clip.pitch_slope_st_s is not None:
        scores["pitch_slope_st_s"] = clip.pitch_slope_st_s / SLOPE_UNIT_ST_S
    if clip.pause_share is not None:
        scores["pause_share"] = clip.pause_share / PAUSE_UNIT
    return Standing(scores=scores, against=against, pause_count=clip.pause_count, values=values)


def _robust_z(value: float, values: Sequence[float], least: float) -> float:
    median = float(np.median(values))
    deviation = MAD_TO_DEVIATION * float(np.median(np.abs(np.asarray(values) - median)))
    return (value - median) / max(deviation, least)
