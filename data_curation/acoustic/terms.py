"""Professional terms for scores: which word may stand for which number, and nothing else.

Every wording of the acoustic writer about sound goes through a `Voice`, so a statement is true of the
measurement exactly when the thresholds here say so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Grade = Literal["usual", "slight", "clear", "far"]
Direction = Literal[-1, 0, 1]
Against = Literal["speaker", "corpus"]
Pick = Callable[[Sequence[str]], str]
"""Chooses among synonyms: a seeded generator's `choice`."""

THRESHOLDS: tuple[tuple[float, Grade], ...] = ((2.2, "far"), (1.2, "clear"), (0.5, "slight"))
"""Least |score| of each grade; below the last one a measure is usual."""
ADVERBS: dict[Grade, tuple[str, ...]] = {
    "usual": ("",),
    "slight": ("slightly", "somewhat"),
    "clear": ("clearly", "markedly", "distinctly"),
    "far": ("strikingly", "exceptionally", "extremely"),
}
STEEPNESS: dict[Grade, tuple[str, ...]] = {
    "usual": ("",),
    "slight": ("gently", "slightly"),
    "clear": ("clearly", "markedly"),
    "far": ("steeply", "strongly"),
}
"""The same for a contour."""
USUAL = ("usual", "ordinary")
NOTHING = (
    "little in the voice points there",
    "the prosody gives it little support",
    "the voice offers no plain cue",
)
NO_PROFILE = "no settled vocal pattern is known for it"


@dataclass(frozen=True)
class Standing:
    """A clip's scores by measure, in robust deviations or the units above; absent where not measurable."""

    scores: dict[str, float]
    against: Against
    """Whether other clips of the speaker or of the whole corpus are the yardstick."""
    pause_count: int


@dataclass(frozen=True)
class Term:
    """How a measure is spoken of."""

    subject: str
    high: tuple[str, ...]
    low: tuple[str, ...]
    countable: bool = False
    """Whether the subject takes an article."""
    adverbs: Mapping[Grade, tuple[str, ...]] = field(default_factory=lambda: ADVERBS)
    """Its grades in words."""


TERMS = {
    "level_db": Term("volume", ("raised", "loud"), ("lowered", "soft")),
    "level_range_db": Term("intensity", ("uneven", "varied"), ("flat",)),
    "rate_syl_s": Term("pace", ("brisk", "fast"), ("slow", "unhurried"), countable=True),
    "pitch_st": Term("pitch", ("raised", "high"), ("lowered", "low")),
    "pitch_range_st": Term("pitch range", ("wide", "broad"), ("narrow", "compressed"), countable=True),
    "pitch_slope_st_s": Term("contour", ("rising",), ("falling",), countable=True, adverbs=STEEPNESS),
    "tilt_db": Term("timbre", ("bright", "tense"), ("dark", "lax"), countable=True),
    "harmonicity_db": Term("voice quality", ("clear", "resonant"), ("breathy or rough", "noisy")),
    "pause_share": Term("pausing", ("noticeable", "audible"), ("absent",)),
}


def grade(score: float) -> Grade:
    """The grade of a score by its size."""
    return next((name for least, name in THRESHOLDS if abs(score) >= least), "usual")


def direction(score: float) -> Direction:
    """-1, 0 or 1: 0 where the score is usual."""
    if grade(score) == "usual":
        return 0
    return 1 if score > 0 else -1


@dataclass(frozen=True)
class Voice:
    """A clip's standing and the words chosen for it: one clip is spoken of in the same words throughout."""

    standing: Standing
    words: Mapping[str, str]
    """The adjective of each measure."""
    adverbs: Mapping[str, str]
    """Its grade in words; empty for a usual one."""

    def adjective(self, measure: str) -> str:
        """`somewhat raised`, `usual`: what stands after "volume is"."""
        return f"{self.adverbs[measure]} {self.words[measure]}".strip()

    def phrase(self, measure: str, *, article: bool = True) -> str:
        """`a strikingly wide pitch range`, `raised volume`: the middle grade goes without its adverb."""
        adverb = "" if self.grade(measure) == "clear" else self.adverbs[measure]
        text = f"{adverb} {self.words[measure]} {TERMS[measure].subject}".strip()
        return f"{_article(text)} {text}" if article and TERMS[measure].countable else text

    def grade(self, measure: str) -> Grade:
        """The grade of the measure's score."""
        return grade(self.standing.scores[measure])


def voice_of(standing: Standing, *, pick: Pick) -> Voice:
    """Choose the words for a clip, each true of its score."""
    usual = pick(USUAL)
    words, adverbs = {}, {}
    for measure, term in TERMS.items():
        score = standing.scores.get(measure, 0.0)
        words[measure] = {1: pick(term.high), 0: usual, -1: pick(term.low)}[direction(score)]
        adverbs[measure] = pick(term.adverbs[grade(score)])
    return Voice(standing=standing, words=words, adverbs=adverbs)


def _article(text: str) -> str:
    return "an" if text[0] in "aeio" else "a"


def says_nothing(cue: str) -> bool:
    """True for a cue in which this writer says that it found none."""
    return cue.startswith((*NOTHING, NO_PROFILE))
