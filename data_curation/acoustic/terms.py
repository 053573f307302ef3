"""Scores of a clip and the professional terms for them.

All wordings of the acoustic writer about sound come from a `Voice`. A statement is therefore true of the measurement
exactly where the thresholds in this module say so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Grade = Literal["usual", "faint", "slight", "clear", "far", "extreme"]
Direction = Literal[-1, 0, 1]
Against = Literal["speaker", "corpus"]
Pick = Callable[[Sequence[str]], str]
"""Function that chooses among synonyms: `choice` of a seeded generator."""

THRESHOLDS: tuple[tuple[float, Grade], ...] = (
    (3.4, "extreme"),
    (2.2, "far"),
    (1.2, "clear"),
    (0.5, "slight"),
    (0.25, "faint"),
)
"""Least absolute score of each grade. Below the last one a measure is usual."""
UNMARKED: tuple[Grade, ...] = ("usual", "faint")
"""Grades that are no cue of their own."""
ADVERBS: dict[Grade, tuple[str, ...]] = {
    "usual": ("",),
    "faint": ("faintly", "minimally"),
    "slight": ("slightly", "somewhat"),
    "clear": ("clearly", "markedly", "distinctly"),
    "far": ("strikingly", "exceptionally"),
    "extreme": ("extremely", "enormously"),
}
STEEPNESS: dict[Grade, tuple[str, ...]] = {
    "usual": ("",),
    "faint": ("faintly", "minimally"),
    "slight": ("gently", "slightly"),
    "clear": ("clearly", "markedly"),
    "far": ("steeply", "strongly"),
    "extreme": ("extremely", "very steeply"),
}
"""Adverbs for the grades of a contour."""
USUAL = ("usual", "ordinary")
NOTHING = (
    "little in the voice points there",
    "the prosody gives it little support",
    "the voice offers no plain cue",
)
ON_THE_WHOLE = ("the delivery as a whole carries it", "it rests on the voice as a whole")
"""For a leading class, where no single measure is on its side."""
NO_PROFILE = "no settled vocal pattern is known for it"


@dataclass(frozen=True)
class Standing:
    """A clip's scores by measure, in robust deviations or the units above; absent where not measurable."""

    scores: dict[str, float]
    against: Against
    """Whether the yardstick is the speaker's other clips or those of the corpus."""
    pause_count: int
    values: Mapping[str, float] = field(default_factory=dict)
    """The clip's measured values, by field of `Measurement`."""


@dataclass(frozen=True)
class Term:
    """The words for a measure."""

    subject: str
    high: tuple[str, ...]
    low: tuple[str, ...]
    countable: bool = False
    """Whether the subject takes an article."""
    adverbs: Mapping[Grade, tuple[str, ...]] = field(default_factory=lambda: ADVERBS)
    """Adverbs for its grades."""


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
    """-1, 0 or 1: 0 where the score is usual or faint."""
    return 0 if grade(score) in UNMARKED else lean(score)


def lean(score: float) -> Direction:
    """-1, 0 or 1: 0 where the score is usual."""
    if grade(score) == "usual":
        return 0
    return 1 if score > 0 else -1


@dataclass(frozen=True)
class Voice:
    """The scores of a clip and the words chosen for them, so that a text uses the same words throughout."""

    standing: Standing
    words: Mapping[str, str]
    """The adjective of each measure."""
    adverbs: Mapping[str, str]
    """The adverb of each measure's grade; empty for a usual one."""

    def adjective(self, measure: str) -> str:
        """Adverb and adjective, as after "volume is": `somewhat raised`, `usual`."""
        return f"{self.adverbs[measure]} {self.words[measure]}".strip()

    def phrase(self, measure: str, *, article: bool = True) -> str:
        """Noun phrase: `a strikingly wide pitch range`, `raised volume`. The middle grade has no adverb."""
        adverb = "" if self.grade(measure) == "clear" else self.adverbs[measure]
        text = f"{adverb} {self.words[measure]} {TERMS[measure].subject}".strip()
        return f"{_article(text)} {text}" if article and TERMS[measure].countable else text

    def grade(self, measure: str) -> Grade:
        """The grade of the measure's score."""
        return grade(self.standing.scores[measure])


def voice_of(standing: Standing, *, pick: Pick) -> Voice:
    """Choose words for a clip that are true of its scores."""
    usual = pick(USUAL)
    words, adverbs = {}, {}
    for measure, term in TERMS.items():
        score = standing.scores.get(measure, 0.0)
        words[measure] = {1: pick(term.high), 0: usual, -1: pick(term.low)}[lean(score)]
        adverbs[measure] = pick(term.adverbs[grade(score)])
    return Voice(standing=standing, words=words, adverbs=adverbs)


def _article(text: str) -> str:
    return "an" if text.startswith(("a", "e", "i", "o", "un")) else "a"


def says_nothing(cue: str) -> bool:
    """Whether a cue of the acoustic writer names nothing in the voice."""
    return cue.startswith((*NOTHING, *ON_THE_WHOLE, NO_PROFILE))
