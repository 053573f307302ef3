"""Rule: no class is called certain where the votes were split."""

import re
from collections.abc import Sequence

from data_curation.records import Reasoning, active

CERTAIN = (
    r"certainly|definitely|undoubtedly|unmistakabl[ey]|unambiguous(?:ly)?|unquestionabl[ey]|unequivocal(?:ly)?|"
    r"indisputabl[ey]|beyond (?:any )?doubt|without (?:any |a )?doubt|no doubt|can only be|could only be|"
    r"nothing but|no other emotion|exclusively"
)
_NEGATED = re.compile(
    r"\b(?:not|never|no|hardly|neither|nor|cannot|less than|far from|rather than|without being)\b|n't\b", re.I
)
_WORDS_BEFORE = 4
ADJECTIVES = {
    "anger": "angry",
    "angry": "anger",
    "contempt": "contemptuous",
    "contradiction": "contradicted",
    "disgust": "disgusted",
    "entailment": "entailed",
    "fear": "fearful|afraid|frightened",
    "happiness": "happy|joyful|joy",
    "happy": "happiness|joy",
    "joy": "joyful|happy",
    "sad": "sadness",
    "sadness": "sad",
    "surprise": "surprised",
}
"""Other words for a class that a sentence may use, by its name."""


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Quote each sentence that calls a class certain, unless the votes are unanimous.

    A sentence counts where it names a class or is a class's cue, and its certainty is not negated.
    """
    if len(active(votes, categories)) < 2:
        return []
    named = re.compile(rf"\b(?:{'|'.join(_class_words(categories))})\b", re.I)
    prose = f"{reasoning.text_analysis} {reasoning.tone} {reasoning.synthesis}"
    sentences = [part for part in re.split(r"(?<=[.!?;])\s+", prose) if named.search(part)]
    sentences += [cue.cue for cue in reasoning.class_cues]
    obvious = rf"(?:clearly|obviously|plainly|purely|simply) (?:{'|'.join(_class_words(categories))})"
    pattern = re.compile(rf"\b(?:{CERTAIN}|{obvious})\b", re.I)
    return [f"calls a class certain: {part!r}" for part in sentences if _claims(part, pattern)]


def _class_words(categories: Sequence[str]) -> list[str]:
    names = [name.casefold() for name in categories]
    return [re.escape(name) for name in names] + [ADJECTIVES[name] for name in names if name in ADJECTIVES]


def _claims(sentence: str, pattern: re.Pattern[str]) -> bool:
    matches = pattern.finditer(sentence)
    return any(not _NEGATED.search(" ".join(sentence[: m.start()].split()[-_WORDS_BEFORE:])) for m in matches)
