"""Verbalised readout (B 3.2): the response states the distribution as a JSON object of class → probability.

What is read is the last well-formed object of the response that is not inside another one; everything around it is
ignored. It is never repaired or guessed (SPEC 2): what is not JSON is no object, and an object that does not state a
distribution over the classes makes the response unparsable, for a reason that is counted. So does a last object that
is only a part of the answer: its shares, divided by their sum, would be another distribution than the one stated.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lalm_ambig.core.categories import CategorySet, canonical_key, normal_form

Reason = Literal[
    "no object",
    "unknown class",
    "class twice",
    "no number",
    "negative",
    "all zero",
    "several objects",
    "one class only",
]
"""`no object`: nothing in it is a well-formed JSON object; `no number`: a value is not one, or not finite; `several
objects`: a class is given a value elsewhere and the last object does not name it; `one class only`: the object names
one class of several, with a share that is not the whole."""
WHOLE = (1, 100)
"""The share of a class that has everything, also in percent."""
KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*[-\d.\["{]')
"""A key with a value behind it, in an object or in what was meant to be one."""
HUNDREDTHS = 100
"""The shares of a curated answer are written with two decimals."""


@dataclass(frozen=True)
class Unparsed:
    """A response from which no distribution can be read, and why."""

    reason: Reason


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs in order, so that a key which stands twice is seen."""


def parse(text: str, categories: CategorySet) -> tuple[float, ...] | Unparsed:
    """The distribution that a response states, in the category set's order; it sums to 1.

    Classes are found by their name, key or word of the prompt, in any case and Unicode form; one that is missing has 0.
    Numbers are divided by their sum, so percentages will do. A class that is unknown or stands twice, a value that is
    no finite number, a negative one, or nothing but zeros: unparsable.

    A draft may precede the answer, but then the answer names every class that has a value anywhere in the response,
    also in an object that is broken or nested. An object that names a single class must give it everything.
    """
    objects = list(json_objects(text))
    if not objects:
        return Unparsed("no object")
    last = objects[-1][0]
    dist = _distribution(last, categories)
    if isinstance(dist, Unparsed):
        return dist
    named = {_place(name, categories) for name, _ in last}
    if not _places_with_values(text, categories) <= named:
        return Unparsed("several objects")
    if len(named) == 1 and last[0][1] not in WHOLE:
        return Unparsed("one class only")
    return dist


def _places_with_values(text: str, categories: CategorySet) -> set[int | None]:
    """Positions of the classes that are keys with a value somewhere in the text, whatever surrounds them."""
    places = set()
    for match in KEY.finditer(text):
        try:
            places.add(_place(json.loads(f'"{match[1]}"', strict=False), categories))
        except ValueError:  # no text of JSON
            continue
    return places - {None}


def is_bare(text: str) -> bool:
    """Whether a response is one JSON object and nothing else but white space."""
    found = list(json_objects(text))
    return len(found) == 1 and not (text[: found[0][1]] + text[found[0][2] :]).strip()


def is_reasoned(text: str) -> bool:
    """Whether a response is some text and one JSON object at its end."""
    found = list(json_objects(text))
    return len(found) == 1 and bool(text[: found[0][1]].strip()) and not text[found[0][2] :].strip()


def format_distribution(label_dist: Sequence[float], categories: CategorySet) -> str:
    """The JSON of p with two decimals that sum to 1, under the prompt's words: what SFT and DPO teach (SPEC 2).

    Hundredths are handed out by largest remainder, the first class on a tie, so no share is off by 0.01 or more.
    """
    exact = [share * HUNDREDTHS for share in label_dist]
    counts = [math.floor(value + 1e-9) for value in exact]
    ranked = sorted(range(len(exact)), key=lambda n: (counts[n] - exact[n], n))
    for n in ranked[: HUNDREDTHS - sum(counts)]:
        counts[n] += 1
    shares = zip(categories.prompt_names, counts, strict=True)
    return "{" + ", ".join(f"{json.dumps(name)}: {n / HUNDREDTHS:.2f}" for name, n in shares) + "}"


def json_template(categories: CategorySet) -> str:
    """The form of the answer, for prompts."""
    return "{" + ", ".join(f"{json.dumps(name)}: share" for name in categories.prompt_names) + "}"


def json_objects(text: str) -> Iterator[tuple[Pairs, int, int]]:
    """Every well-formed JSON object that is not inside another one, with where it starts and ends."""
    decoder = json.JSONDecoder(object_pairs_hook=Pairs)
    place = text.find("{")
    while place >= 0:
        try:
            found, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):  # what starts here is no JSON, or nested beyond all reason
            end = place + 1
        else:
            yield found, place, end
        place = text.find("{", end)


def _distribution(pairs: Pairs, categories: CategorySet) -> tuple[float, ...] | Unparsed:
    shares: dict[int, float] = {}
    for name, value in pairs:
        place = _place(name, categories)
        if place is None:
            return Unparsed("unknown class")
        if place in shares:
            return Unparsed("class twice")
        number = _number(value)
        if number is None:
            return Unparsed("no number")
        if number < 0:
            return Unparsed("negative")
        shares[place] = number
    largest = max(shares.values(), default=0.0)
    if largest == 0:
        return Unparsed("all zero")
    relative = [
        shares.get(place, 0.0) / largest for place in range(len(categories))
    ]  # whose sum cannot overflow
    return tuple(value / sum(relative) for value in relative)


def _place(name: str, categories: CategorySet) -> int | None:
    """Position of a class by the prompt's word for it or its name, else by their keys; None where none fits, or two."""
    words, names = categories.prompt_names, categories.names
    for compared in (normal_form, canonical_key):
        for candidates in (words, names):
            forms = [compared(candidate) for candidate in candidates]
            if forms.count(compared(name)) == 1:
                return forms.index(compared(name))
    return None


def _number(value: Any) -> float | None:
    """A finite number; None for anything else, a word, true or a number beyond all floats included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
