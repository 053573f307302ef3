"""The key `annotators` of a row: who chose what, as an object of annotator and class, or list of classes.

    {"id": "a", "text": "…", "annotators": {"ann1": "anger", "ann2": ["anger", "fear"]}}

Votes are then counted from it; a row that also has `votes` must have the same ones. What is known of an annotator can
be in the first line, which then declares the classes, too:

    {"categories": ["anger", "fear"], "profiles": {"ann1": "Age: 26; Gender: female"}}
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lalm_ambig.core.categories import normal_form
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import is_missing, short_repr

Ratings = tuple[tuple[str, str], ...]
"""Pairs of annotator and class; one with several classes is there several times."""
EXPECTED = 'an object of annotator and class (or list of classes), as {"ann1": "anger"}'


def parse_ratings(values: Mapping[str, Any], *, item: str) -> Ratings:
    """The ratings of a row, each class in its first spelling; none where it has no `annotators`.

    Args:
        values: The row.
        item: Its id.

    Raises:
        InputError: The value is of another form; the message has no place.
    """
    given = values.get("annotators")
    if is_missing(given):
        return ()
    if not isinstance(given, dict):
        wrong = f'"annotators" of item {short_repr(item)} must be {EXPECTED}, got {short_repr(given)}'
        raise InputError(f"{wrong}; a key of another meaning needs another name")
    pairs, spelt = list[tuple[str, str]](), dict[str, str]()
    for name, chosen in given.items():
        classes = [chosen] if isinstance(chosen, str) else chosen
        whose = f"annotator {short_repr(name)} of item {short_repr(item)}"
        if not name.strip():
            raise InputError(f"an annotator of item {short_repr(item)} has no name")
        if not isinstance(classes, list) or not classes or not all(_is_class(one) for one in classes):
            raise InputError(f"{whose} must have a class or a list of classes, got {short_repr(chosen)}")
        if len(set(map(normal_form, classes))) < len(classes):
            raise InputError(f"{whose} has one class twice: {short_repr(chosen)}")
        pairs += [(name.strip(), spelt.setdefault(normal_form(one), one)) for one in classes]
    if len({name.strip() for name in given}) < len(given):
        raise InputError(f"item {short_repr(item)} names an annotator twice, with and without blanks")
    return tuple(pairs)


def _is_class(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def with_votes(values: Mapping[str, Any], ratings: Ratings) -> Mapping[str, Any]:
    """The row with its votes counted from ratings, where it has no others.

    Args:
        values: The row.
        ratings: Those of the row.
    """
    if not ratings or not is_missing(values.get("votes")):
        return values
    return {**values, "votes": dict(Counter(chosen for _, chosen in ratings))}


def check_votes(votes: Mapping[str, float], ratings: Ratings, *, item: str) -> None:
    """Check that votes are those of the ratings.

    Args:
        votes: Of the row, by class.
        ratings: Of the row, with classes in the same spelling.
        item: Its id.

    Raises:
        InputError: They are not; the message has no place.
    """
    if not ratings:
        return
    counted = Counter(chosen for _, chosen in ratings)
    for name in dict.fromkeys((*votes, *counted)):
        if votes.get(name, 0) != counted[name]:
            raise InputError(
                f"item {short_repr(item)} has {votes.get(name, 0):g} votes for {short_repr(name)}, but {counted[name]} "
                'of its annotators chose it: leave "votes" out, and they are counted'
            )


def parse_profiles(values: Mapping[str, Any]) -> dict[str, str]:
    """Annotator → profile, from the first line of a file; empty where it has none.

    Raises:
        InputError: The value is of another form; the message has no place.
    """
    given = values.get("profiles")
    if is_missing(given):
        return {}
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise InputError(f'"profiles" must be an object of annotator and text, got {short_repr(given)}')
    return {name.strip(): " ".join(text.split()) for name, text in given.items() if text.strip()}
