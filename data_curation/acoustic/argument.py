"""The cues of each class: what in this voice speaks for it, and a statement that nothing does where that is so.

Expected cues are from the literature on the vocal expression of emotion: Banse & Scherer (1996), "Acoustic profiles in
vocal emotion expression"; Juslin & Laukka (2003), "Communication of emotions in vocal expression and music
performance"; Scherer (2003), "Vocal communication of emotion". Where they disagree (the range of fear, the loudness of
disgust) the measure is left out.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from data_curation.acoustic.terms import NO_PROFILE, NOTHING, Direction, Pick, Standing, Voice, direction
from data_curation.records import ClassCue
from lalm_ambig.core.categories import canonical_key

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
"""Profile of each class, by canonical key: above (1), below (-1) or at (0) the usual. Others have no known profile."""
USED_WEIGHT = 0.5
"""Weight of a cue that another class already has, so that each class gets the cues that set it apart."""
CUES_OF_LEADER, CUES_OF_OTHERS = 2, 1
"""Most cues for the leading class, and for each other class."""
FIT_ONE = ("{} fits it", "{} speaks for it", "{} supports it")
FIT_MANY = ("{} fit it", "{} speak for it", "{} support it")
HINT = ("{} hints at it", "{} leaves room for it", "{} may suggest it")
AGAINST = ("{} rather speaks against it", "{} sits oddly with it")


@dataclass(frozen=True)
class Evidence:
    """The measures of a clip that speak for a class and against it, the strongest first."""

    fitting: tuple[str, ...]
    opposing: tuple[str, ...]


def evidence(key: str, standing: Standing, *, used: Collection[str] = ()) -> Evidence:
    """The measures in the expected direction and those in another one.

    Args:
        key: Canonical key of the class.
        standing: The clip's scores.
        used: Measures that already argue for another class.
    """
    profile = EXPECTED.get(key, {})
    scores = {name: score for name, score in standing.scores.items() if name in profile}
    fitting = [name for name, score in scores.items() if direction(score) == profile[name]]
    opposing = [name for name, score in scores.items() if direction(score) not in (0, profile[name])]

    def weight(name: str) -> float:
        size = 1 - abs(scores[name]) if profile[name] == 0 else abs(scores[name])
        return -size * (USED_WEIGHT if name in used else 1.0)

    return Evidence(
        fitting=tuple(sorted(fitting, key=weight)),
        opposing=tuple(sorted(opposing, key=lambda name: -abs(scores[name]))),
    )


def argue(names: Sequence[str], voice: Voice, *, pick: Pick) -> tuple[ClassCue, ...]:
    """One cue per class, in the order of the classes: from a measure, or the statement that there is none."""
    used: set[str] = set()
    cues = []
    for rank, name in enumerate(names):
        fitting = evidence(canonical_key(name), voice.standing, used=used).fitting
        chosen = fitting[: CUES_OF_LEADER if rank == 0 else CUES_OF_OTHERS]
        used.update(chosen)
        text = _for(chosen, voice, pick=pick) if chosen else _without(name, voice, pick=pick)
        cues.append(ClassCue(category=name, cue=f"{text}."))
    return tuple(cues)


def _for(measures: Sequence[str], voice: Voice, *, pick: Pick) -> str:
    phrases = [voice.phrase(name) for name in measures]
    if len(phrases) > 1:
        return pick(FIT_MANY).format(" and ".join(phrases))
    weak = voice.grade(measures[0]) in ("slight", "usual")
    return pick(HINT if weak else FIT_ONE).format(phrases[0])


def _without(name: str, voice: Voice, *, pick: Pick) -> str:
    key = canonical_key(name)
    if key not in EXPECTED:
        return NO_PROFILE
    opposing = evidence(key, voice.standing).opposing
    if not opposing or voice.grade(opposing[0]) not in ("clear", "far"):
        return pick(NOTHING)
    return f"{pick(NOTHING)}; {pick(AGAINST).format(voice.phrase(opposing[0]))}"
