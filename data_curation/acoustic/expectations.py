"""Which cues speak for which class, after the literature on the vocal expression of emotion.

Sources: Banse & Scherer (1996), "Acoustic profiles in vocal emotion expression"; Juslin & Laukka (2003),
"Communication of emotions in vocal expression and music performance"; Scherer (2003), "Vocal communication of
emotion". Where they disagree (the range of fear, the loudness of disgust) the measure is left out.
"""

from collections.abc import Collection
from dataclasses import dataclass

from data_curation.acoustic.relative import Standing
from data_curation.acoustic.terms import Direction, direction

Profile = dict[str, Direction]

EXPECTED: dict[str, Profile] = {
    "anger": {
        "level_db": 1, "pitch_st": 1, "tilt_db": 1, "level_range_db": 1, "pitch_range_st": 1,
        "rate_syl_s": 1,
    },
    "contempt": {"pitch_st": -1, "level_db": -1, "rate_syl_s": -1, "pitch_slope_st_s": -1},
    "disgust": {
        "rate_syl_s": -1, "pitch_st": -1, "harmonicity_db": -1, "pitch_slope_st_s": -1, "pause_share": 1,
    },
    "fear": {
        "pitch_st": 1, "rate_syl_s": 1, "level_range_db": 1, "harmonicity_db": -1, "pitch_slope_st_s": 1,
    },
    "happiness": {
        "pitch_st": 1, "pitch_range_st": 1, "level_db": 1, "rate_syl_s": 1, "pitch_slope_st_s": 1,
        "tilt_db": 1,
    },
    "neutral": {"level_db": 0, "pitch_st": 0, "pitch_range_st": 0, "rate_syl_s": 0, "tilt_db": 0},
    "sadness": {
        "level_db": -1, "pitch_st": -1, "pitch_range_st": -1, "rate_syl_s": -1, "tilt_db": -1,
        "level_range_db": -1, "pitch_slope_st_s": -1, "pause_share": 1,
    },
    "surprise": {"pitch_st": 1, "pitch_range_st": 1, "level_db": 1, "pitch_slope_st_s": 1},
}  # fmt: skip
"""By canonical key: above (1), below (-1) or at (0) what is usual. Other classes have no known profile."""
USED_WEIGHT = 0.5
"""A cue that already argued for another class counts this much: each class is given what sets it apart."""


@dataclass(frozen=True)
class Evidence:
    """What a clip's voice has to say for a class and against it, strongest first."""

    fitting: tuple[str, ...]
    opposing: tuple[str, ...]


def evidence(key: str, standing: Standing, *, used: Collection[str] = ()) -> Evidence:
    """The measures that go the expected way, and those that go another (any way, where usual is expected)."""
    profile = EXPECTED.get(key, {})
    known = {name: score for name, score in standing.scores.items() if name in profile}
    fitting = [name for name, score in known.items() if direction(score) == profile[name]]
    opposing = [name for name, score in known.items() if direction(score) not in (0, profile[name])]

    def weight(name: str) -> float:
        size = 1 - abs(known[name]) if profile[name] == 0 else abs(known[name])
        return -size * (USED_WEIGHT if name in used else 1.0)

    return Evidence(
        fitting=tuple(sorted(fitting, key=weight)),
        opposing=tuple(sorted(opposing, key=lambda name: -abs(known[name]))),
    )
