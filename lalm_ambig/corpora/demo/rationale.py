"""A short chain of thought for a clip, from its cues and votes: first the sound, then the emotions that it supports.

As curated chains of thought do, it says in words how likely an emotion is, and names no vote or number.
"""

import re
from collections.abc import Sequence

import numpy as np

from lalm_ambig.corpora.demo.perception import CUES, PROTOTYPES

WORDS = {
    "loudness": ("soft", "loud"),
    "pitch": ("low", "high"),
    "range": ("flat", "lively"),
    "slope": ("falling", "rising"),
    "rate": ("slow", "fast"),
    "brightness": ("dull", "bright"),
    "breathiness": ("clear", "breathy"),
}
"""Words for a cue below and above the speaker's usual value."""
NAMED_CUES = 4
NOTABLE, STRONG = 0.45, 1.3
"""Distances from the usual, in standard units, from which a cue is named, and is strengthened by a word."""
STRENGTHENED = {"slope": "steeply"}
"""The word before a strong cue where it is not `very`."""
OPENINGS = (
    "The words are plain. The voice is {cues} for this speaker.",
    "The text says little. For this speaker the voice is {cues}.",
    "The words show no feeling. The voice is {cues} for this speaker.",
)
CLEAR = ("This clearly points to {first}{reason}.", "It is plainly {first}{reason}.")
LEADING = ("Most of this points to {first}{reason}.", "It is mainly {first}{reason}.")
OPEN = (
    "It is open, {first} slightly ahead{reason}.",
    "Listeners would differ: {first} comes first{reason}.",
)
VERDICT = re.compile("|".join(re.escape(words.partition("{")[0]) for words in (*CLEAR, *LEADING, *OPEN)))
"""The words that begin what follows from the sound."""
RIVALS = "{names} could be heard as well{reason}."
TRACES = "There is a trace of {names}."
ALONE = ("No other reading fits.", "Nothing speaks for another reading.")
CLEAR_SHARE, LEADING_SHARE, RIVAL_SHARE = 0.8, 0.55, 0.25
"""Shares of the votes that decide between the phrases above."""
NAMED_RIVALS = 3


def explain(cues: np.ndarray, votes: np.ndarray, *, classes: Sequence[str], rng: np.random.Generator) -> str:
    """About 20 to 45 English words: the cues, the reading they favour and the ones that they leave room for.

    Args:
        cues: One value per cue, in standard units.
        votes: Count per class.
        classes: Names of the classes, in the order of the votes.
        rng: Chooses between phrases of one meaning.
    """
    shares = votes / votes.sum()
    order = np.argsort(-shares, kind="stable")
    first = int(order[0])
    rivals = [int(c) for c in order[1 : 1 + NAMED_RIVALS] if shares[c] > 0]
    verdicts = CLEAR if shares[first] >= CLEAR_SHARE else LEADING if shares[first] >= LEADING_SHARE else OPEN
    sentences = [
        _choice(OPENINGS, rng).format(cues=_heard(cues)),
        _choice(verdicts, rng).format(first=classes[first], reason=_reason(cues, first)),
    ]
    if not rivals:
        return " ".join([*sentences, _choice(ALONE, rng)])
    strong = [c for c in rivals if shares[c] >= RIVAL_SHARE]
    weak = [c for c in rivals if shares[c] < RIVAL_SHARE]
    if strong:
        reason = _reason(cues, strong[0])
        other = "" if len(strong) > 1 or reason == _reason(cues, first) else reason
        text = RIVALS.format(names=_listed([classes[c] for c in strong]), reason=other)
        sentences.append(text.capitalize())
    if weak:
        sentences.append(TRACES.format(names=_listed([classes[c] for c in weak])))
    return " ".join(sentences)


def heard_before_verdict(rationale: str) -> str | None:
    """The sentences on words and voice, before the verdict; None for a text that was not made here."""
    verdict = VERDICT.search(rationale)
    return None if verdict is None else rationale[: verdict.start()].strip() or None


def _choice(phrases: Sequence[str], rng: np.random.Generator) -> str:
    return phrases[int(rng.integers(len(phrases)))]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _word(cue: int, value: float) -> str:
    return WORDS[CUES[cue]][int(value > 0)]


def _heard(cues: np.ndarray) -> str:
    strongest = [
        int(c) for c in np.argsort(-np.abs(cues), kind="stable")[:NAMED_CUES] if abs(cues[c]) >= NOTABLE
    ]
    words = []
    for cue in strongest:
        very = f"{STRENGTHENED.get(CUES[cue], 'very')} " if abs(cues[cue]) >= STRONG else ""
        words.append(f"{very}{_word(cue, cues[cue])}")
    return _listed(words) if words else "close to the usual"


def _reason(cues: np.ndarray, category: int) -> str:
    """The cue that speaks most for a class, as a half-sentence; empty where none does, as for neutral."""
    support = cues * PROTOTYPES[category]
    best = int(support.argmax())
    return f", as it is {_word(best, cues[best])}" if support[best] >= NOTABLE else ""
