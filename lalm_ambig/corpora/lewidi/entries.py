"""The entries of a file of LeWiDi: who chose what, checked against the soft label that stands beside it.

The files differ in ways that lose votes without a word:

- `annotations` is an object by annotator in 2025, and a text with commas in 2023.
- A text names one annotator twice in MD-Agreement; an object by annotator would lose a vote.
- An annotator with two labels is named twice in `annotators`, and once in `annotations` (VariErrNLI).
- Keys of a soft label are "0.0" and "1.0" in one file and "0" and "1" in another (MP), and a step of a scale without
  a class may be among them (CSC).
- Soft labels are rounded to two or three digits in some files, so that they need not sum to 1. Votes are counted from
  the annotations, which are exact.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.lewidi.parts import LABEL_SETS, LABELS, Part, label_code
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.json_lines import json_value, short_repr
from lalm_ambig.files.text import read_text

ROUNDING = 0.0051
"""Largest difference between a soft label and the shares of votes: half of the second digit."""


@dataclass(frozen=True)
class Entry:
    """One item of a file."""

    key: str
    """Its key in the file."""
    text: str
    annotators: tuple[str, ...]
    """Who chose each of `classes`; one annotator may be named twice."""
    classes: tuple[int, ...]
    """Positions of the classes that they chose."""
    soft_label: tuple[float, ...]
    """As the file has it, in the order of `Part.soft_keys`; of VariErrNLI, the share of yes per label."""
    shared_text: str | None = None
    """The post or context that other items may have, too; None where the set has no such text."""
    hard_label: int | None = None
    """Position of the organisers' majority class; None where the file names none, as in the sets of 2025."""

    def votes(self, width: int) -> tuple[float, ...]:
        """Votes per class.

        Args:
            width: Number of classes.
        """
        counts = Counter(self.classes)
        return tuple(float(counts[place]) for place in range(width))


def read_entries(path: Path, part: Part, *, bad_rows: BadRows) -> list[Entry]:
    """The good entries of a file, in its order.

    Args:
        path: The file.
        part: The set that it belongs to.
        bad_rows: Collects malformed entries.

    Raises:
        InputError: The file is no JSON object, most entries have the same fault, or one is malformed and `bad_rows`
            leaves none out.
    """
    content = json_value(read_text(path), source=str(path))
    if not isinstance(content, dict) or not content:
        raise InputError("expected an object with an entry per item", where=str(path))
    entries = []
    with bad_rows.reading(path) as reading:
        for key, values in content.items():
            try:
                entries.append(parse_entry(key, values, part))
            except InputError as error:
                bad_rows.add(str(error), where=f"{path}: item {short_repr(key)}")
        reading.good = len(entries)
    return entries


def parse_entry(key: str, values: Any, part: Part) -> Entry:
    """Parse an entry, and check its soft label against its annotations.

    Raises:
        InputError: The entry is malformed; the message has no place.
    """
    if not isinstance(values, Mapping):
        raise InputError("expected an object")
    ratings = list(_ratings(values))
    classes = tuple(_class_of(label, part) for _, label in ratings)
    soft_label = _soft_label(values.get("soft_label"), part)
    _check_soft_label(soft_label, classes, part)
    text = values.get("text")
    return Entry(
        key,
        part.text(text),
        tuple(name for name, _ in ratings),
        classes,
        soft_label,
        shared_text=part.shared_text(text),
        hard_label=_hard_label(values.get("hard_label"), part),
    )


def _ratings(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of annotator and label, one per annotation."""
    named, chosen = values.get("annotators"), values.get("annotations")
    if not isinstance(named, str) or not named.strip():
        raise InputError('it needs "annotators": names with commas between')
    names = [name.strip() for name in named.split(",")]
    if isinstance(chosen, str):
        labels = chosen.split(",")
        if len(labels) != len(names):
            raise InputError(f"{len(names)} annotators but {len(labels)} annotations")
        yield from zip(names, labels, strict=True)
    elif isinstance(chosen, dict) and chosen:
        expected = Counter({name: len(str(label).split(",")) for name, label in chosen.items()})
        if Counter(names) != expected:
            raise InputError(f'"annotators" are {short_repr(named)}, but the annotations are of others')
        yield from ((name, str(chosen[name])) for name in dict.fromkeys(names))
    else:
        raise InputError('it has no "annotations": is this a file for submissions, without labels?')


def _hard_label(value: Any, part: Part) -> int | None:
    """Position of the majority class; None where the file has none, or another word for a tie."""
    name = str(value).removesuffix(".0")
    return part.soft_keys.index(name) if name in part.soft_keys and not part.is_multilabel else None


def _class_of(label: str, part: Part) -> int:
    code = label_code(label)
    if code not in part.codes:
        raise InputError(f"unknown label {short_repr(label)}: expected one of {'; '.join(part.codes)}")
    return part.codes[code]


def _soft_label(value: Any, part: Part) -> tuple[float, ...]:
    if not isinstance(value, dict):
        raise InputError('it needs a "soft_label": an object of label and share')
    if part.is_multilabel:
        return tuple(_yes_share(value.get(label), label) for label in LABELS)
    shares = _by_number(value)
    for key, share in shares.items():
        if key not in part.soft_keys and share != 0:
            raise InputError(f"soft label {short_repr(key)} is no class and has the share {share}")
    return tuple(shares.get(key, 0.0) for key in part.soft_keys)


def _by_number(value: Mapping[str, Any]) -> dict[str, float]:
    """Shares by the whole number that each key writes: `0`, `0.0` and `00` are one key."""
    shares: dict[str, float] = {}
    for key, share in value.items():
        try:
            number = float(key)
        except ValueError:
            number = math.nan
        if not number.is_integer() or not _is_share(share):
            raise InputError(f"soft label {short_repr(key)}: {short_repr(share)} is no share of a label")
        name = str(int(number))
        if name in shares:
            raise InputError(f"the soft label has the key {name} twice, in two spellings")
        shares[name] = float(share)
    return shares


def _yes_share(value: Any, label: str) -> float:
    shares = _by_number(value) if isinstance(value, dict) else {}
    if shares.keys() != {"0", "1"} or abs(sum(shares.values()) - 1) > ROUNDING:
        raise InputError(f'"soft_label" needs {label}: an object of "0" and "1" that sum to 1')
    return shares["1"]


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _check_soft_label(soft_label: Sequence[float], classes: Sequence[int], part: Part) -> None:
    """Refuse a soft label that is not what the annotators chose, but for rounding."""
    for key, share, counted in zip(part.soft_keys, soft_label, counted_shares(classes, part), strict=True):
        if abs(share - counted) > ROUNDING:
            raise InputError(
                f"soft label {key} is {share:g}, but {counted:.4g} of its {len(classes)} annotators chose it"
            )


def counted_shares(classes: Sequence[int], part: Part) -> tuple[float, ...]:
    """The soft label that annotations make, exactly, in the order of `Part.soft_keys`."""
    if part.is_multilabel:
        chosen = [LABEL_SETS[place] for place in classes]
        return tuple(sum(label in labels for labels in chosen) / len(chosen) for label in LABELS)
    counts = Counter(classes)
    return tuple(counts[place] / len(classes) for place in range(len(part.soft_keys)))
