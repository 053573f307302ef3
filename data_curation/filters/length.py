"""Rule: the length is bounded, so that a text is long enough to argue and short enough to be learnt."""

from collections.abc import Sequence

from data_curation.records import PROSE, Reasoning

WORDS = (30, 400)
"""Fewest and most words of the whole text."""
SECTION_WORDS = 120
"""Most words of one section or cue."""
KEYWORDS = 12
KEYWORD_WORDS = 8


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Name each part that is too long or too short, with its count and the bound."""
    parts = {name: getattr(reasoning, name) for name in PROSE}
    parts |= {f"the cue for {cue.category}": cue.cue for cue in reasoning.class_cues}
    counts = {name: len(text.split()) for name, text in parts.items()}
    too_long = {name: count for name, count in counts.items() if count > SECTION_WORDS}
    reasons = [f"{name} has {count} words, at most {SECTION_WORDS}" for name, count in too_long.items()]
    if len(reasoning.keywords) > KEYWORDS:
        reasons.append(f"{len(reasoning.keywords)} keywords, at most {KEYWORDS}")
    wordy = [keyword for keyword in reasoning.keywords if len(keyword.split()) > KEYWORD_WORDS]
    reasons += [f"keyword of more than {KEYWORD_WORDS} words: {keyword!r}" for keyword in wordy]
    total = len(reasoning.as_text().split())
    if not WORDS[0] <= total <= WORDS[1]:
        reasons.append(f"{total} words in all, expected {WORDS[0]} to {WORDS[1]}")
    return reasons
