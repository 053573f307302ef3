"""One input of a policy, from the forms in which Python has it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import id_text
from lalm_ambig.files.json_lines import short_repr

KEYS = ("id", "audio", "text", "premise", "hypothesis")
"""Keys of an input that is a dictionary or a row of a file."""
PAIR = "Premise: {}\nHypothesis: {}"
"""Text of a pair of sentences, as corpora of inference have it."""
FORMS = "a path, (samples, rate_hz), or a dictionary of audio, text, or premise and hypothesis"


@dataclass(frozen=True, eq=False)
class Question:
    """A recording, a text, or a recording with its words."""

    id: str
    audio: Path | None = None
    """A sound file."""
    samples: np.ndarray | None = None
    """Samples, where there is no file."""
    rate_hz: int = 0
    """Rate of these samples."""
    text: str | None = None

    @property
    def has_sound(self) -> bool:
        return self.audio is not None or self.samples is not None


def question_of(value: Any, *, text: str | None = None, name: str = "input") -> Question:
    """Return the question that a value of Python stands for.

    Args:
        value: A path, samples with their rate, or a dictionary with some of `KEYS`; None for a text alone.
        text: The words, or the text to be judged.
        name: Id of an input that has none.

    Raises:
        InputError: It is nothing that can be asked about.
    """
    if isinstance(value, Mapping):
        return _of_row(value, text, name)
    question = _with_sound(value, name)
    return Question(question.id, question.audio, question.samples, question.rate_hz, _checked(text, name))


def pair_text(premise: str, hypothesis: str) -> str:
    """The text of a pair, in the form that policies are trained with."""
    return PAIR.format(premise, hypothesis)


def is_pair(text: str) -> bool:
    """Whether a text has the form of a pair."""
    first, _, rest = text.partition("\n")
    return first.startswith("Premise: ") and rest.startswith("Hypothesis: ")


def _with_sound(value: Any, name: str) -> Question:
    if value is None:
        return Question(name)
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if not isinstance(path, str) or not path or "\0" in path:
            raise InputError(f"no name of a file: {short_repr(path)}", where="predict")
        return Question(path, Path(path).expanduser())
    if isinstance(value, tuple) and len(value) == 2:
        samples, rate = value
        if isinstance(samples, Tensor):
            samples = samples.detach().cpu().numpy()
        if (
            isinstance(samples, np.ndarray)
            and isinstance(rate, int | np.integer)
            and not isinstance(rate, bool)
        ):
            return Question(name, samples=samples, rate_hz=int(rate))
    what = f"expected {FORMS}, got {type(value).__name__}."
    remedy = "Samples come with their rate: (samples, 16000)." if hasattr(value, "shape") else ""
    raise InputError(what, where=name, remedy=remedy)


def _of_row(row: Mapping[str, Any], text: str | None, name: str) -> Question:
    if unknown := [key for key in row if key not in KEYS]:
        known = ", ".join(KEYS)
        raise InputError(f"unknown key {short_repr(unknown[0])}: expected some of {known}.", where=name)
    given = row.get("id")
    number = None if given is None else id_text(given)
    if given is not None and not number:
        raise InputError(f"an id is a text or a whole number, got {short_repr(given)}", where=name)
    sound = _with_sound(row.get("audio"), name)
    words = row_text(row, where=number or name)
    if words is not None and text is not None:
        raise InputError("it has a text, and text= is another.", where=number or name)
    words = words if text is None else text
    return Question(number or sound.id, sound.audio, sound.samples, sound.rate_hz, _checked(words, name))


def row_text(row: Mapping[str, Any], *, where: str) -> str | None:
    """The text of a row: `text`, or `premise` and `hypothesis` in the form of a pair; None without either.

    Args:
        row: Values by name.
        where: Place for errors.

    Raises:
        InputError: It has half of a pair, both forms, or no text.
    """
    parts = [row.get(key) for key in ("premise", "hypothesis")]
    text = row.get("text")
    if parts == [None, None]:
        return _checked(text, where)
    if None in parts or text is not None:
        what = "half of a pair" if None in parts else "both a text and a pair"
        raise InputError(f"it has {what}: give premise and hypothesis, or text.", where=where)
    premise, hypothesis = (_checked(part, where) for part in parts)
    assert premise is not None and hypothesis is not None
    return pair_text(premise, hypothesis)


def _checked(text: Any, where: str) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise InputError(f"expected a text, got {short_repr(text)}", where=where)
    if not text.strip():
        raise InputError("the text is empty.", where=where)
    return text


def questions_of(values: Sequence[Any], text: str | Sequence[str | None] | None) -> list[Question]:
    """Return the questions of a list.

    Args:
        values: The inputs.
        text: Words of all, or of each.

    Raises:
        InputError: One cannot be asked about, or there is another number of texts.
    """
    texts = [text] * len(values) if text is None or isinstance(text, str) else list(text)
    if len(texts) != len(values):
        raise InputError(f"{len(values)} inputs but {len(texts)} texts.", where="predict")
    pairs = enumerate(zip(values, texts, strict=True))
    return [question_of(value, text=words, name=f"input-{number}") for number, (value, words) in pairs]
