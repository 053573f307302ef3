"""The parts of a curated rationale: what is *heard*, with its *keywords* first, and what *follows* from it.

A rationale of `data_curation` has four sections with headings. The cues of the classes end the section `Audio`, each
after a label. Keywords, text and the rest of `Audio` say what is heard. The cues and the section `Synthesis` follow:
they argue for the answer, and so give it away.
"""

import re
from collections.abc import Sequence
from typing import Literal

RationalePart = Literal["all", "heard", "keywords"]
"""What a policy learns of a rationale: all of it, only what is heard, or only the keywords of that."""
KEYWORDS, TEXT, AUDIO, SYNTHESIS = "Keywords:", "Text:", "Audio:", "Synthesis:"
"""Headings of a rationale's sections, each at the start of a line, in this order."""


def cue_label(category: str) -> str:
    """The label before the cue of a class.

    >>> cue_label("fear")
    'Fear:'
    """
    return f"{category.capitalize()}:"


def keywords_part(rationale: str) -> str | None:
    r"""The keywords of a rationale: its first line that begins with `Keywords:`; None if there is none, or no keyword.

    >>> keywords_part("Keywords: low pitch, slow.\nAudio: Pitch is low. Fear: low pitch.\nSynthesis: Fear leads.")
    'Keywords: low pitch, slow.'
    """
    line = re.search(rf"^{KEYWORDS}.*\w.*", rationale, re.M)
    return None if line is None else line[0].strip()


def heard_part(rationale: str, categories: Sequence[str]) -> str | None:
    r"""The first part of a rationale: up to the first cue of a class, or to a line that begins with `Synthesis:`.

    Args:
        rationale: Text with sections.
        categories: Classes whose labels are looked for, in the section `Audio` where there is one.

    Returns:
        The part, without blanks around it. None if its end is not marked: a section `Audio` without a label, or a text
        without sections. None, too, if the part is empty.

    >>> heard_part("Audio: Pitch is low. Fear: low pitch hints at it.\nSynthesis: Fear leads.", ("anger", "fear"))
    'Audio: Pitch is low.'
    """
    sections = re.search(rf"^{AUDIO}", rationale, re.M)
    labels = "|".join(re.escape(cue_label(name)) for name in categories)
    first_cue = re.compile(rf"(?<!\S)(?:{labels})\s").search(rationale, sections.end() if sections else 0)
    synthesis = re.search(rf"^{SYNTHESIS}", rationale, re.M)
    if sections and not first_cue:
        return None
    ends = [match.start() for match in (first_cue, synthesis) if match]
    return rationale[: min(ends, default=0)].strip() or None
