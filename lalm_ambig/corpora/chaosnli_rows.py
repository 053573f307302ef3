"""Rows of ChaosNLI: a pair of sentences and what a hundred annotators said of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.categories import CategorySet
from lalm_ambig.corpora.bad_rows import BadRows
from lalm_ambig.corpora.json_objects import json_object, numbered_lines, shown
from lalm_ambig.errors import InputError

CATEGORIES = CategorySet(("entailment", "neutral", "contradiction"))
LETTERS = ("e", "n", "c")
"""How the files name the classes, in the order of CATEGORIES (and of their `label_count`)."""
ANNOTATORS = 100
"""Votes that every pair has."""


@dataclass(frozen=True)
class Pair:
    """One row of a file."""

    uid: str
    votes: tuple[float, ...]
    """Counts in the order of CATEGORIES; they sum to ANNOTATORS."""
    text: str
    """`Premise: …` and `Hypothesis: …`, a line each."""


def read_pairs(path: Path, *, bad_rows: BadRows, places: dict[str, str]) -> list[Pair]:
    """The good rows of a file in its order.

    Args:
        path: The file of one part.
        bad_rows: Told of each malformed row and each uid that comes again.
        places: Place of every uid that was read before; those of this file are added.
    """
    pairs = []
    for where, line in numbered_lines(path):
        try:
            pair = parsed_pair(json_object(line))
            if pair.uid in places:
                raise InputError(f"uid {shown(pair.uid)} was used before, in {places[pair.uid]}")
        except InputError as error:
            bad_rows.add(str(error), where=where)
            continue
        places[pair.uid] = where
        pairs.append(pair)
    return pairs


def parsed_pair(values: Mapping[str, Any]) -> Pair:
    """The pair that a row's object stands for; InputError without a place where it is malformed."""
    uid = values.get("uid")
    if not isinstance(uid, str) or not uid.strip():
        raise InputError('a row needs a "uid" that is a text')
    example = values.get("example")
    if not isinstance(example, dict):
        raise InputError(f'pair {shown(uid)} needs an "example": an object of premise and hypothesis')
    premise, hypothesis = (_sentence(example, key, uid) for key in ("premise", "hypothesis"))
    text = f"Premise: {premise}\nHypothesis: {hypothesis}"
    return Pair(uid=uid, votes=_votes(values, uid), text=text)


def _sentence(example: Mapping[str, Any], key: str, uid: str) -> str:
    sentence = example.get(key)
    if not isinstance(sentence, str) or not sentence.strip():
        raise InputError(f'"example.{key}" of pair {shown(uid)} must be a text, got {shown(sentence)}')
    return " ".join(sentence.split())


def _votes(values: Mapping[str, Any], uid: str) -> tuple[float, ...]:
    """Votes by `label_counter`; a letter that it leaves out has none. `label_count`, where given, must agree."""
    counter = values.get("label_counter")
    if not isinstance(counter, dict):
        raise InputError(f'pair {shown(uid)} needs a "label_counter": an object of letter and count')
    for letter, count in counter.items():
        if letter not in LETTERS:
            raise InputError(f"votes for unknown class {shown(letter)}: expected {', '.join(LETTERS)}")
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= ANNOTATORS:
            raise InputError(f"votes for {letter} must be a count from 0 to {ANNOTATORS}, got {shown(count)}")
    counts = [counter.get(letter, 0) for letter in LETTERS]
    if sum(counts) != ANNOTATORS:
        raise InputError(f"the votes of pair {shown(uid)} sum to {sum(counts)}, not {ANNOTATORS}")
    if values.get("label_count", counts) != counts:
        differ = f"label_count {shown(values['label_count'])} is not its label_counter's {counts}"
        raise InputError(f"pair {shown(uid)}: {differ}")
    return tuple(float(count) for count in counts)
