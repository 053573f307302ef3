"""The record that corpora yield: one item, with the votes of the people who judged it.

This module needs no torch, so that a program without a model (curation) starts fast and stays small.
"""

from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
FOLDS = 5
"""Number of folds of a cross-validation. They are of speakers, sessions or items, as the corpus splits them."""
Portion = Literal["train", "validation", "test", "all"]
"""A split, or all three."""
ALL: Portion = "all"
PORTIONS: tuple[Portion, ...] = (*SPLITS, ALL)
EXACT = 2**53
"""Largest float that is certain to be the whole number that was meant."""


@dataclass(frozen=True)
class Item:
    """One thing that people judged: a clip, a text, or a clip with its transcript."""

    id: str
    """Unique within its corpus."""
    votes: tuple[float, ...]
    """Votes per class, in the corpus's class order; counts, or fractions where a rater's vote is shared."""
    audio: str | None = None
    """Path of the audio file."""
    text: str | None = None
    """Transcript, or the text that was judged."""
    rationale: str | None = None
    """Curated chain of thought, without tags."""
    speaker: str | None = None
    split: Split = "train"
    duration_s: float = 0.0
    """Length of the audio that a model will hear, in seconds; 0 without audio."""
    part: str | None = None
    """The part of the corpus that the item is from, where the corpus has parts."""
    annotators: tuple[str, ...] = ()
    """Who chose each of `annotations`, where the corpus names them. One with two labels is named twice."""
    annotations: tuple[int, ...] = ()
    """The classes that the annotators chose, by position; as many as `annotators`."""
    annotator: str | None = None
    """Whose answer is asked for, where the item is what one annotator chose; the id then ends with `@` and the name."""
    about_annotator: str | None = None
    """What the prompt says of this annotator: the profile, and answers about other items."""

    @property
    def judged(self) -> str:
        """Id of what was judged: the same for all annotators of an item."""
        return judged_id(self.id, self.annotator)

    @property
    def drawn_votes(self) -> tuple[float, ...]:
        """Votes that are draws of their own; none of a single annotator, whose two labels are no two draws."""
        return self.votes if self.annotator is None else ()

    @property
    def ratings(self) -> tuple[tuple[str, int], ...]:
        """Pairs of annotator and class, in the corpus's order; empty where it names no annotators."""
        return tuple(zip(self.annotators, self.annotations, strict=True))

    @property
    def has_sound(self) -> bool:
        """Whether people heard the item; otherwise they read it."""
        return self.audio is not None

    @property
    def label_dist(self) -> tuple[float, ...]:
        """The target distribution: votes over their sum (ambiguity-aware LALM, eq. 1; SHALA-LLM, eq. 2)."""
        total = sum(self.votes)
        return tuple(vote / total for vote in self.votes)

    @property
    def majority(self) -> int:
        """Index of the class with most votes. A tie goes to the first class in the corpus's order (our decision)."""
        return max(range(len(self.votes)), key=lambda c: (self.votes[c], -c))


def pair_id(item: str, annotator: str) -> str:
    """Id of what one annotator chose for an item.

    >>> pair_id("par-test-7", "Ann1")
    'par-test-7@Ann1'
    """
    return f"{item}@{annotator}"


def judged_id(pair: str, annotator: str | None) -> str:
    """Id of the item of a pair (see `pair_id`); without an annotator the id itself.

    >>> judged_id("par-test-7@Ann1", "Ann1"), judged_id("par-test-7", None)
    ('par-test-7', 'par-test-7')
    """
    return pair if annotator is None else pair.removesuffix(f"@{annotator}")


def id_text(value: object) -> str | None:
    """Text of an id or of a speaker's name, which a file may hold as a text or as a whole number.

    A whole number may be a float, since pandas makes floats of a column with gaps: 3.0 is "3".

    Args:
        value: The value in the file.

    Returns:
        The text; None for any other value.

    >>> id_text(3.0), id_text("a7"), id_text(0.5)
    ('3', 'a7', None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (value.is_integer() and abs(value) <= EXACT):
        return None
    return str(int(value))
