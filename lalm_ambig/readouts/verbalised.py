"""Verbalised readout (B 3.2): the response states the distribution as a JSON object of class → probability.

What is read is the last well-formed object of the response that is not inside another one; everything around it is
ignored. It is never repaired or guessed (SPEC 2): what is not JSON is no object, and an object that does not state a
distribution over the classes makes the response unparsable, for a reason that is counted.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lalm_ambig.categories import CategorySet, canonical_key
from lalm_ambig.errors import InputError

Reason = Literal["no object", "unknown class", "class twice", "no number", "negative", "all zero"]
"""`no object`: nothing in it is a well-formed JSON object; `no number`: a value is not one, or not finite."""
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

    Classes are found by their name, key or word of the prompt, in any case; one that is missing has 0. Numbers are
    divided by their sum, so percentages will do. A class that is unknown or stands twice, a value that is no finite
    number, a negative one, or nothing but zeros: unparsable.
    """
    objects = list(json_objects(text))
    return _distribution(objects[-1][0], categories) if objects else Unparsed("no object")


def is_bare(text: str) -> bool:
    """Whether a response is one JSON object and nothing else but white space."""
    found = list(json_objects(text))
    return len(found) == 1 and not (text[: found[0][1]] + text[found[0][2] :]).strip()


def is_reasoned(text: str) -> bool:
    """Whether a response is some text and one JSON object at its end."""
    found = list(json_objects(text))
    return len(found) == 1 and bool(text[: found[0][1]].strip()) and not text[found[0][2] :].strip()


def written(label_dist: Sequence[float], categories: CategorySet) -> str:
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


def structure(categories: CategorySet) -> str:
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
    """Position of a class by its name or key, or by the prompt's word for it."""
    words = [canonical_key(word) for word in categories.prompt_names]
    try:
        return words.index(canonical_key(name)) if canonical_key(name) in words else categories.index(name)
    except InputError:
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
