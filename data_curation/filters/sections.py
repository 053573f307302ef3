"""Rule: no section is empty."""

from collections.abc import Sequence

from data_curation.records import PROSE, Reasoning


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Name each section without a letter."""
    empty = [name for name in PROSE if not _has_letters(getattr(reasoning, name))]
    if not reasoning.keywords or not all(map(_has_letters, reasoning.keywords)):
        empty.append("keywords")
    empty += [f"the cue for {cue.category}" for cue in reasoning.class_cues if not _has_letters(cue.cue)]
    return [f"{name} is empty" for name in empty]


def _has_letters(text: str) -> bool:
    return any(character.isalpha() for character in text)
