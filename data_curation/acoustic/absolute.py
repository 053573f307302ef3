"""Grades of a measure on a fixed scale: the same sound gets the same word, whoever speaks.

They stand beside the comparison with other clips, which a listener to one clip cannot make. The steps are anchored on
published values:

- Pitch: men speak at 85 to 155 Hz, women at 165 to 255 Hz (Fitch & Holbrook, 1970, "Modal vocal fundamental frequency
  of young adults"). Typical values are 120 and 210 Hz (Traunmüller & Eriksson, 1995, "The frequency range of the voice
  fundamental in the speech of male and female adults").
- Rate: 300 syllables per minute in conversation (Jones, 1967, "An Outline of English Phonetics"). Each step is a
  quarter faster.
- Level: steps of 6 dB around the alignment level of -18 dB (EBU R 68).
- Range: 2.5 semitones from the 10th to the 90th percentile are a standard deviation of about one semitone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Scale:
    """The words for a measure in rising order, and the value from which each but the first is used."""

    noun: str
    words: tuple[str, ...]
    least: tuple[float, ...]

    def __post_init__(self) -> None:
        assert len(self.words) == len(self.least) + 1
        assert all(low < high for low, high in pairwise(self.least))

    def word(self, value: float) -> str:
        """The word for a value in the measure's unit."""
        return self.words[sum(value >= least for least in self.least)]


def _geometric(centre: float, ratio: float, powers: Sequence[int]) -> tuple[float, ...]:
    return tuple(centre * ratio**power for power in powers)


SCALES = {
    "level_db": Scale(
        "level",
        ("hushed", "quiet", "moderate", "full", "strong", "booming"),
        (-36.0, -30.0, -24.0, -18.0, -12.0),
    ),
    "rate_syl_s": Scale(
        "rate",
        ("dragging", "measured", "steady", "quick", "rapid", "racing"),
        _geometric(5.0, 1.25, (-2, -1, 0, 1, 2)),
    ),
    "pitch_hz": Scale(
        "register",
        ("bass", "deep", "mid-deep", "mid-high", "high", "very high", "piercing"),
        (85.0, 120.0, 160.0, 210.0, 255.0, 340.0),
    ),
    "pitch_range_st": Scale(
        "span", ("tiny", "small", "medium", "large", "great", "huge"), (2.5, 5.0, 7.5, 10.0, 15.0)
    ),
}
"""The scales, by field of `Measurement`. Colour and contour have none: a microphone changes the first, and the score of
the second does not depend on other clips."""


def absolute(values: Mapping[str, float], measure: str, *, preposition: str) -> str:
    """A phrase such as ` at a full level`, with a blank before it; empty where the measure is missing.

    Args:
        values: Measured values, by field of `Measurement`.
        measure: One with a scale.
        preposition: The word before.

    >>> absolute({"pitch_hz": 207.0}, "pitch_hz", preposition="in")
    ' in a mid-high register'
    """
    if measure not in values:
        return ""
    scale = SCALES[measure]
    return f" {preposition} a {scale.word(values[measure])} {scale.noun}"
