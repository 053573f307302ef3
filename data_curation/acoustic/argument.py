"""The cues of each class: what in this voice speaks for it, and a statement that nothing does where that is so.

Expected cues are from the literature on the vocal expression of emotion: Banse & Scherer (1996), "Acoustic profiles in
vocal emotion expression"; Juslin & Laukka (2003), "Communication of emotions in vocal expression and music
performance"; Scherer (2003), "Vocal communication of emotion". Where they disagree (the range of fear, the loudness of
disgust) the measure is left out.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from data_curation.acoustic.terms import (
    NO_PROFILE,
    NOTHING,
    ON_THE_WHOLE,
    UNMARKED,
    Direction,
    Pick,
    Standing,
    Voice,
    direction,
    lean,
)
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
BESIDE = ("{} goes with it", "{} colours it")
"""For a leading class: a measure of which its profile says nothing."""


@dataclass(frozen=True)
class Evidence:
    """The measures of a clip that speak for a class and against it, the strongest first."""

    fitting: tuple[str, ...]
    leaning: tuple[str, ...]
    """Measures that are almost usual and lean to the expected side."""
    opposing: tuple[str, ...]
    beside: tuple[str, ...]
    """Marked measures of which the class's profile says nothing."""


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
    leaning = [
        name for name, score in scores.items() if direction(score) == 0 != profile[name] == lean(score)
    ]
    beside = [name for name, score in standing.scores.items() if name not in profile and direction(score)]
    opposing = [name for name, score in scores.items() if direction(score) not in (0, profile[name])]

    def weight(name: str) -> float:
        strength = 1 - abs(scores[name]) if profile[name] == 0 else abs(scores[name])
        return -strength * (USED_WEIGHT if name in used else 1.0)

    def size(name: str) -> float:
        return -abs(standing.scores[name])

    return Evidence(
        fitting=tuple(sorted(fitting, key=weight)),
        leaning=tuple(sorted(leaning, key=weight)),
        opposing=tuple(sorted(opposing, key=size)),
        beside=tuple(sorted(beside, key=size)),
    )


def argue(names: Sequence[str], voice: Voice, *, leaders: int = 1, pick: Pick) -> tuple[ClassCue, ...]:
    """One cue per class, in the order of the classes: from a measure, or the statement that there is none.

    Args:
        names: The classes with votes, the one with most votes first.
        voice: The clip's scores with their words.
        leaders: Number of classes that share the most votes. Nothing is said against these.
        pick: Chooses among wordings.
    """
    used: set[str] = set()
    cues = []
    for rank, name in enumerate(names):
        fitting = evidence(canonical_key(name), voice.standing, used=used).fitting
        chosen = fitting[: CUES_OF_LEADER if rank == 0 else CUES_OF_OTHERS]
        used.update(chosen)
        if chosen:
            text = _for(chosen, voice, pick=pick)
        else:
            text = (_for_leader if rank < leaders else _without)(name, voice, pick=pick)
        cues.append(ClassCue(category=name, cue=f"{text}."))
    return tuple(cues)


def _for(measures: Sequence[str], voice: Voice, *, pick: Pick) -> str:
    phrases = [voice.phrase(name) for name in measures]
    if len(phrases) > 1:
        return pick(FIT_MANY).format(" and ".join(phrases))
    weak = voice.grade(measures[0]) in (*UNMARKED, "slight")
    return pick(HINT if weak else FIT_ONE).format(phrases[0])


def _for_leader(name: str, voice: Voice, *, pick: Pick) -> str:
    """A cue for a leading class without a fitting measure: from the next best one, and never against the class."""
    key = canonical_key(name)
    if key not in EXPECTED:
        return NO_PROFILE
    least = evidence(key, voice.standing)
    if least.leaning:
        return pick(HINT).format(voice.phrase(least.leaning[0]))
    if least.beside:
        return pick(BESIDE).format(voice.phrase(least.beside[0]))
    return pick(ON_THE_WHOLE)


def _without(name: str, voice: Voice, *, pick: Pick) -> str:
    key = canonical_key(name)
    if key not in EXPECTED:
        return NO_PROFILE
    opposing = evidence(key, voice.standing).opposing
    if not opposing or voice.grade(opposing[0]) == "slight":
        return pick(NOTHING)
    return f"{pick(NOTHING)}; {pick(AGAINST).format(voice.phrase(opposing[0]))}"
