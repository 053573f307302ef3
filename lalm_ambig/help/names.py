"""Names that a user may have meant: the nearest one, and the same word in American or British spelling."""

import difflib
import re
from collections.abc import Iterable, Sequence

AMERICAN = (
    (re.compile(r"(?<=[a-z]{3})iz(?=e|ing|ation)"), "is"),
    (re.compile(r"yz(?=e|ing)"), "ys"),
    (re.compile(r"(?<=col|fav|lab)or"), "our"),
    (re.compile(r"(?<=label|model)ed\b"), "led"),
)
"""American endings, each with the British one."""


def closest(given: str, names: Iterable[str]) -> str | None:
    """Return the name that is nearest to what was written. Case, `-` and `_` make no difference.

    Args:
        given: The word as it was written.
        names: The names to choose from.

    Returns:
        The nearest name; None if none is near.

    >>> closest("learningrate", ["batch_size", "learning_rate"])
    'learning_rate'
    """
    plain = {_lower(name): name for name in names}
    near = difflib.get_close_matches(_lower(given), list(plain), n=1, cutoff=0.7)
    return plain[near[0]] if near else None


def not_one_of(given: str, names: Sequence[str]) -> str:
    """What is said of a word that is none of the names: the nearest of them, and all.

    Args:
        given: The word as it was written.
        names: The names.

    >>> not_one_of("jsonlines", ["demo", "jsonl"])
    "'jsonlines': did you mean jsonl? Expected one of demo, jsonl"
    """
    meant = closest(given, names)
    return (
        f"{given!r}: " + (f"did you mean {meant}? E" if meant else "e") + f"xpected one of {', '.join(names)}"
    )


def spelled(given: str, names: Iterable[str]) -> str:
    """Return the name that is the same word in the other spelling.

    Args:
        given: The word as it was written.
        names: The names to choose from.

    Returns:
        The name; the word itself if it is one of the names, or none is the same word.

    >>> spelled("optimizer", ["optimiser", "objective"]), spelled("quantise", ["quantize"])
    ('optimiser', 'quantize')
    """
    known = set(names)
    if given in known:
        return given
    return next((name for name in sorted(known) if british(name) == british(given)), given)


def british(word: str) -> str:
    """Return a word in British spelling, so that both spellings of it are equal.

    >>> british("verbalized"), british("verbalised"), british("group_size"), british("tokenizer")
    ('verbalised', 'verbalised', 'group_size', 'tokeniser')
    """
    for american, ending in AMERICAN:
        word = american.sub(ending, word)
    return word


def _lower(name: str) -> str:
    return name.lower().replace("_", "-")
