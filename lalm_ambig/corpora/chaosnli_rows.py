"""Rows of ChaosNLI: a pair of sentences and what a hundred annotators said of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.categories import CategorySet
from lalm_ambig.corpora.bad_rows import BadRows
from lalm_ambig.errors import InputError
from lalm_ambig.files.json_lines import is_missing, json_object, number_hint, numbered_lines, shown
from lalm_ambig.items import id_text

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
    with bad_rows.reading(path) as reading:
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
        reading.good = len(pairs)
    return pairs


def parsed_pair(values: Mapping[str, Any]) -> Pair:
    """The pair that a row's object stands for; InputError without a place where it is malformed."""
    uid = id_text(values.get("uid"))
    if uid is None or not uid.strip():
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
    """Votes by `label_counter`; a letter that it leaves out or has as null has none. `label_count`, where given, must
    agree."""
    counter = values.get("label_counter")
    if not isinstance(counter, dict):
        raise InputError(f'pair {shown(uid)} needs a "label_counter": an object of letter and count')
    for letter, count in counter.items():
        if letter not in LETTERS:
            raise InputError(f"votes for unknown class {shown(letter)}: expected {', '.join(LETTERS)}")
        if not is_missing(count) and not _is_count(count):
            limits = f"a count from 0 to {ANNOTATORS}"
            raise InputError(f"votes for {letter} must be {limits}, got {shown(count)}{number_hint(count)}")
    counts = [int(counter[letter]) if _is_count(counter.get(letter)) else 0 for letter in LETTERS]
    if sum(counts) != ANNOTATORS:
        raise InputError(f"the votes of pair {shown(uid)} sum to {sum(counts)}, not {ANNOTATORS}")
    if values.get("label_count", counts) != counts:
        differ = f"label_count {shown(values['label_count'])} is not its label_counter's {counts}"
        raise InputError(f"pair {shown(uid)}: {differ}")
    return tuple(float(count) for count in counts)


def _is_count(value: object) -> bool:
    """Whether a value is a whole number of votes, which pandas may have made a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= ANNOTATORS and value == int(value)
