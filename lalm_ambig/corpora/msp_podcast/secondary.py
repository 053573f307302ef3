"""The secondary emotions of a rater: a list in which any number was ticked, often with the primary emotion among them.

The list has sixteen words, and `Other-…` with free text. Eight of the words are classes. The other eight (`Concerned`,
`Amused`, …) are finer than the classes, and nobody said which class each belongs to: they are not counted.

Commas separate the list, and free text may hold commas and semicolons, too. So a piece after `Other-…` is part of the
free text, unless it is a word of the list exactly as the corpus writes it, with no blank before it.
"""

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.corpora.msp_podcast.scales import ATTRIBUTE

CATEGORIES = CategorySet(("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"))
OUTSIDE = len(CATEGORIES)
"""Position of what is none of the classes: of the ninth class, where there is one."""
SECONDARY = "EmoClass_Second"
FINER_WORDS = frozenset(
    {"amused", "annoyed", "concerned", "confused", "depressed", "disappointed", "dissapointed", "excited"}
    | {"frustrated"}
)
"""The words of the list that are no class, in lower case; one also as the corpus misspells it."""
UNREADABLE = "free text with a semicolon"
"""Stands for a list that cannot be told from the free text before it."""


def category_place(word: str) -> int:
    """Position of an emotion in CATEGORIES; OUTSIDE for `Other`, `Other-…` and any unknown word."""
    word = word.casefold()
    return CATEGORIES.names.index(word) if word in CATEGORIES.names else OUTSIDE


def is_other(word: str) -> bool:
    """True for `Other` and `Other-…`."""
    return word.casefold().startswith("other")


def secondary_field(text: str) -> str:
    """The list of secondary emotions in a rater's line, as written; empty where there is none.

    Args:
        text: `WORKER; primary; secondary; A:…; V:…; D:…;`. The secondary field and the attributes may be missing.

    Returns:
        The list; UNREADABLE where the primary is no class and more than one field follows, since its free text may
        hold the semicolon.

    >>> secondary_field("WORKER01; Sad; Sad,Depressed; A:3.0; V:2.0; D:3.0;")
    'Sad,Depressed'
    """
    fields = text.split(";")[1:]
    while fields and (not fields[-1].strip() or ATTRIBUTE.match(fields[-1].strip())):
        fields.pop()
    if len(fields) > 2 and category_place(fields[0].strip()) == OUTSIDE:
        return UNREADABLE
    return ";".join(fields[1:]).strip()


def secondary_words(text: str) -> list[str]:
    """The words of a list of secondary emotions, each once, in the list's order.

    >>> secondary_words("Sad,Other-so, sad,Fear, Sad")
    ['Sad', 'Other-so, sad', 'Fear']
    """
    words: list[str] = []
    for piece in text.split(","):
        if words and is_other(words[-1]) and not _is_exact(piece):
            words[-1] += f",{piece}"
        elif word := piece.strip():
            words.append(word)
    return list(dict.fromkeys(words))


def _is_exact(piece: str) -> bool:
    """True for a word of the list as the corpus writes it, and for another `Other-…`."""
    lower = piece.casefold()
    is_listed = lower in FINER_WORDS or lower in CATEGORIES.names
    return (is_listed and piece == lower.capitalize()) or piece.startswith("Other")
