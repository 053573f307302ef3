"""The scales of MSP-Podcast: each rater also placed the turn from 1 to 7 in arousal, valence and dominance.

Raters saw a row of drawn figures (self-assessment manikins) and chose one of seven. A rating is therefore a whole
step, and the seven steps are ordered classes.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.csv import is_missing
from lalm_ambig.files.json_lines import short_repr

STEPS = ("1", "2", "3", "4", "5", "6", "7")
"""The steps, from the lowest."""
STEP_WORDS = ("one", "two", "three", "four", "five", "six", "seven")
"""The word for each of STEPS in prompts and answers."""
ROUNDING = 0.05
"""The consensus file's mean may differ from that of the ratings by so much; it has at least one decimal."""
ATTRIBUTE = re.compile(r"([AVD])\s*[:=]", re.IGNORECASE)
"""The beginning of a field that holds a rating."""
_STEP = re.compile(r"([1-7])(?:\.0*)?", re.ASCII)


@dataclass(frozen=True)
class Scale:
    """One scale, and where label files have it."""

    name: str
    letter: str
    """Beginning of its field in a rater's line."""
    column: str
    """Its column or JSON key, for ratings and, in the consensus file, for their mean."""

    @cached_property
    def categories(self) -> CategorySet:
        """The seven ordered steps. Their domain is that of no other scale, since another's 5 is not this one's."""
        words = tuple(f" {word}" for word in STEP_WORDS)
        return CategorySet(STEPS, words, STEP_WORDS, f"{self.name} from 1 to {STEPS[-1]}", ordered=True)

    @cached_property
    def _mention(self) -> re.Pattern[str]:
        names = f"{self.letter}|{self.name}|{self.column}"
        return re.compile(rf"\b(?:{names})\s*[:=]\s*\d", re.IGNORECASE)

    def is_rated(self, field: str) -> bool:
        """Whether a field of a rater's line names the scale and a number, and is no free text."""
        return not field.casefold().startswith("other") and self._mention.search(field) is not None

    def ratings(self, field: str) -> list[str]:
        """The rating in a field of a rater's line, as written; none where the field is another's."""
        match = ATTRIBUTE.match(field)
        return [field[match.end() :].strip()] if match and match[1].upper() == self.letter else []

    def place(self, rating: str) -> int | None:
        """Position of a rating in STEPS.

        Args:
            rating: As written, such as `3.000000`.

        Returns:
            The position; None for a missing rating.

        Raises:
            InputError: It is no whole step from 1 to 7.
        """
        if is_missing(rating):
            return None
        if not (match := _STEP.fullmatch(rating.strip())):
            raise InputError(f"{self.name} must be a whole step from 1 to 7, got {short_repr(rating)}")
        return STEPS.index(match[1])


SCALES = {
    scale.name: scale
    for scale in (
        Scale("arousal", "A", "EmoAct"),
        Scale("valence", "V", "EmoVal"),
        Scale("dominance", "D", "EmoDom"),
    )
}
"""Value of the option `target` → its scale."""


def rating_field(text: str, scale: Scale) -> str:
    """The rating in a rater's line, as written; empty where there is none.

    Fields of ratings are the last ones of a line, so that free text before them is never one. Where the letter stands
    twice among them, both are returned, which is no rating.

    Raises:
        InputError: There is none among the last fields, but what looks like one in another form or place.

    >>> rating_field("WORKER01; Other-A: b; c; ; A:3.0; V:2.0; D:4.0;", SCALES["arousal"])
    '3.0'
    """
    fields = [field.strip() for field in text.split(";")]
    chosen = fields[1:]
    found: list[str] = []
    while fields and (not fields[-1] or ATTRIBUTE.match(fields[-1])):
        found += scale.ratings(fields.pop())
    if not found and (misplaced := [field for field in chosen if scale.is_rated(field)]):
        raise InputError(
            f"{scale.name} must be a field {scale.letter}:… at the end of the line, got {short_repr(misplaced[0])}"
        )
    return " and ".join(reversed(found))
