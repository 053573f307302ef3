"""Verbalised readout: the response states the distribution as a JSON object of class → probability.

From SHALA-LLM, section 3.2 and eq. 5. The paper does not say how responses are parsed; these rules are ours:

1. The last well-formed object counts that is not inside another one. Text around it is ignored.
2. Nothing is repaired or guessed. What is not JSON is no object.
3. An object that states no distribution over the classes makes the response unparsable, with a reason that is counted.
4. So does a last object that is only a part of the answer: rescaled, it would be another distribution.
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
"""Why a response is unparsable. `no object`: it holds no well-formed JSON object. `no number`: a value is no finite
number. `several objects`: a class has a value elsewhere, and the last object does not name it. `one class only`: the
object names one class of several, with a share below 1."""
CERTAIN = (1, 100)
"""The share of a class that has all of the probability, as a fraction and in percent."""
KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*[-\d.\["{]')
"""A key followed by a value, in an object or in a broken one."""
HUNDREDTHS = 100
"""Shares of a curated answer have two decimals."""


@dataclass(frozen=True)
class Unparsed:
    """A response from which no distribution can be read."""

    reason: Reason


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs in order, so that a repeated key is seen."""


def parse(text: str, categories: CategorySet) -> tuple[float, ...] | Unparsed:
    """The distribution that a response states, or why it states none.

    Classes match by their name, key or word of the prompt, in any case and Unicode form. A missing class has 0. Values
    are divided by their sum, so percentages are accepted.

    A draft may precede the answer. The answer must then name every class that has a value anywhere in the response,
    also in an object that is broken or nested. An object that names a single class must give it 1 or 100.

    Args:
        text: The response.
        categories: The classes.

    Returns:
        Probabilities in the category set's order, with sum 1; or `Unparsed` with the reason.

    >>> from lalm_ambig.core.categories import CategorySet
    >>> parse('{"joy": 75, "fear": 25}', CategorySet(("joy", "fear")))
    (0.75, 0.25)
    """
    objects = list(json_objects(text))
    if not objects:
        return Unparsed("no object")
    last = objects[-1][0]
    dist = _distribution(last, categories)
    if isinstance(dist, Unparsed):
        return dist
    named = {_class_index(name, categories) for name, _ in last}
    if not _classes_with_values(text, categories) <= named:
        return Unparsed("several objects")
    if len(named) == 1 and last[0][1] not in CERTAIN:
        return Unparsed("one class only")
    return dist


def _classes_with_values(text: str, categories: CategorySet) -> set[int | None]:
    """Indices of the classes that are keys with a value anywhere in the text."""
    classes = set()
    for match in KEY.finditer(text):
        try:
            classes.add(_class_index(json.loads(f'"{match[1]}"', strict=False), categories))
        except ValueError:  # no text of JSON
            continue
    return classes - {None}


def is_bare(text: str) -> bool:
    """Whether a response is one JSON object and nothing else but white space."""
    objects = list(json_objects(text))
    return len(objects) == 1 and not (text[: objects[0][1]] + text[objects[0][2] :]).strip()


def is_reasoned(text: str) -> bool:
    """Whether a response is some text and one JSON object at its end."""
    objects = list(json_objects(text))
    return len(objects) == 1 and bool(text[: objects[0][1]].strip()) and not text[objects[0][2] :].strip()


def format_distribution(label_dist: Sequence[float], categories: CategorySet) -> str:
    """The JSON object of p, with the prompt's words as keys and two decimals that sum to 1.

    SFT and DPO train on it. Hundredths are assigned by largest remainder, the first class on a tie, so every share is
    less than 0.01 from its exact value. The rounding is ours.
    """
    exact = [share * HUNDREDTHS for share in label_dist]
    counts = [math.floor(value + 1e-9) for value in exact]
    ranked = sorted(range(len(exact)), key=lambda n: (counts[n] - exact[n], n))
    for n in ranked[: HUNDREDTHS - sum(counts)]:
        counts[n] += 1
    shares = zip(categories.prompt_names, counts, strict=True)
    return "{" + ", ".join(f"{json.dumps(name)}: {n / HUNDREDTHS:.2f}" for name, n in shares) + "}"


def json_template(categories: CategorySet) -> str:
    """The object that a prompt asks for, with the word `share` in place of numbers."""
    return "{" + ", ".join(f"{json.dumps(name)}: share" for name in categories.prompt_names) + "}"


def json_objects(text: str) -> Iterator[tuple[Pairs, int, int]]:
    """Every well-formed JSON object that is not inside another one, with the indices of its start and end."""
    decoder = json.JSONDecoder(object_pairs_hook=Pairs)
    start = text.find("{")
    while start >= 0:
        try:
            pairs, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):  # what starts here is no JSON, or nested beyond all reason
            end = start + 1
        else:
            yield pairs, start, end
        start = text.find("{", end)


def _distribution(pairs: Pairs, categories: CategorySet) -> tuple[float, ...] | Unparsed:
    shares: dict[int, float] = {}
    for name, value in pairs:
        index = _class_index(name, categories)
        if index is None:
            return Unparsed("unknown class")
        if index in shares:
            return Unparsed("class twice")
        number = _number(value)
        if number is None:
            return Unparsed("no number")
        if number < 0:
            return Unparsed("negative")
        shares[index] = number
    largest = max(shares.values(), default=0.0)
    if largest == 0:
        return Unparsed("all zero")
    relative = [
        shares.get(index, 0.0) / largest for index in range(len(categories))
    ]  # whose sum cannot overflow
    return tuple(value / sum(relative) for value in relative)


def _class_index(name: str, categories: CategorySet) -> int | None:
    """Index of a class by the prompt's word or its name, else by their canonical keys; None if none or two match."""
    words, names = categories.prompt_names, categories.names
    for compared in (normal_form, canonical_key):
        for candidates in (words, names):
            forms = [compared(candidate) for candidate in candidates]
            if forms.count(compared(name)) == 1:
                return forms.index(compared(name))
    return None


def _number(value: Any) -> float | None:
    """A finite number; None for anything else, such as a word, true, or a number too large for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
