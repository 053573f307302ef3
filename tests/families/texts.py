"""The items that every family is tried with: comments of ragged lengths, most prompts longer than the windows."""

import torch

from lalm_ambig.core.types import Item
from lalm_ambig.corpora.goemotions.rows import CATEGORIES as CATEGORIES
from lalm_ambig.policies.tiny import WORDS

LENGTHS = (5, 37, 90, 1)
"""Words of each comment."""
VOTES = (
    (3.0, 0.0, 1.0, 0.0, 6.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 1.0),
    (2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 2.0),
    (0.0, 1.0, 4.0, 0.0, 0.0, 5.0, 0.0),
)
RATIONALES = (
    "The words are calm and quiet.",
    "A bright comment, full of feeling: most readers find joy in it, and a few find none.",
    "They disagree.",
    "It is quiet and slow, and it sounds sad; a few read fear.",
)


def items(*, seed: int = 0) -> tuple[Item, ...]:
    """Four comments; with another seed other words, as many of them."""
    generator = torch.Generator().manual_seed(seed)
    words = WORDS.read_text().split()
    return tuple(
        Item(f"i{n}", votes, text=_text(words, length, generator), rationale=rationale)
        for n, (length, votes, rationale) in enumerate(zip(LENGTHS, VOTES, RATIONALES, strict=True))
    )


def _text(words: list[str], length: int, generator: torch.Generator) -> str:
    drawn = torch.randint(len(words), (length,), generator=generator).tolist()
    return " " + " ".join(words[place] for place in drawn)
