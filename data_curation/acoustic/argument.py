"""The cues of each class: what in this voice speaks for it, and an honest word where nothing does."""

from collections.abc import Sequence

from data_curation.acoustic.expectations import EXPECTED, evidence
from data_curation.acoustic.nothing import NO_PROFILE, NOTHING
from data_curation.acoustic.terms import Pick, Voice
from data_curation.records import ClassCue
from lalm_ambig.core.categories import canonical_key

CUES_OF_LEADER, CUES_OF_OTHERS = 2, 1
"""Most cues given for the leading class and for each other one."""
FIT_ONE = ("{} fits it", "{} speaks for it", "{} supports it")
FIT_MANY = ("{} fit it", "{} speak for it", "{} support it")
HINT = ("{} hints at it", "{} leaves room for it", "{} may suggest it")
AGAINST = ("{} rather speaks against it", "{} sits oddly with it")


def argue(names: Sequence[str], voice: Voice, *, pick: Pick) -> tuple[ClassCue, ...]:
    """A cue for each of the classes, in their order: a measured one, or the statement that there is none."""
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
