r"""Logit readout from the likeliest tokens that a server lists, where the token ids of the class names are not known.

The score of a class is the probability that the answer begins with its name and with no other class's: the sum over
listed tokens, in any case and with any white space in front. A token that could begin several classes is followed to
the next position, if it is the one that was written.

What is not listed has the probability $U$, and a class that is not listed has at most $U$. It is given $U$, and the
item counts as censored where that could be far from the truth. With $M$ the listed probability of the classes, $k$
classes that are not listed and $A$ that of tokens which fit several classes and were not followed, the distribution is
at most

$$\frac{(k + 1)\,U + A}{M}$$

from the true one in total variation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lalm_ambig.core.categories import CategorySet, normal_form
from lalm_ambig.core.errors import InputError

LARGEST_DISTANCE = 0.01
"""Largest possible distance (total variation) from the true distribution with which an item is read."""
ROUNDING = 0.01
"""How far listed probabilities may sum above 1."""
CERTAIN, NEVER = -1e-6, -1000.0
"""Log-probabilities that only a server gives which lists them after its choice."""
VERBALISED = "Use --readout verbalised."


class Faulty(ValueError):
    """Log-probabilities that are none."""


@dataclass(frozen=True)
class Listed:
    """The classes' scores at the answer position."""

    dist: tuple[float, ...]
    class_mass: float
    """Listed probability of the classes, in [0, 1]."""
    distance: float
    """Largest possible distance (total variation) from the true distribution; infinite where no class is listed."""
    missing: tuple[int, ...]
    """Classes that are not listed."""

    @property
    def is_censored(self) -> bool:
        return self.distance > LARGEST_DISTANCE


def token_text(token: Mapping[str, Any]) -> str:
    """The text of a token; its bytes where the server gives them, since a token may hold a part of a character."""
    raw = token.get("bytes")
    return bytes(raw).decode(errors="replace") if raw else str(token["token"])


def answer_start(positions: Sequence[Mapping[str, Any]], tag: str) -> int | None:
    """The number of the position that comes right after a tag; None where no position does.

    Args:
        positions: The tokens that were written.
        tag: The tag that opens the answer.
    """
    text = ""
    for number, position in enumerate(positions):
        if tag in text:
            return number if text.endswith(tag) else None
        text += token_text(position)
    return None


def without_others(
    positions: Sequence[Mapping[str, Any]] | None, start: int | None
) -> list[dict[str, Any]] | None:
    """The positions with the alternatives of the answer's alone: those of long reasoning would fill the disk."""
    if positions is None:
        return None
    return [
        {**position, "top_logprobs": position.get("top_logprobs") if start is not None and n >= start else []}
        for n, position in enumerate(positions)
    ]


def class_scores(positions: Sequence[Mapping[str, Any]], categories: CategorySet) -> Listed:
    """The distribution at the first of these positions.

    Args:
        positions: The tokens from the answer on, with their alternatives.
        categories: The classes, by the words in prompts.

    Raises:
        Faulty: The numbers are no log-probabilities.
    """
    words = [normal_form(name) for name in categories.prompt_names]
    scores = [0.0] * len(words)
    unlisted, ambiguous, weight, written = 0.0, 0.0, 1.0, ""
    for position in positions:
        listed = _probabilities(position)
        unlisted += weight * max(1 - sum(listed.values()), min(listed.values()))
        follow = None
        for token, probability in listed.items():
            fits = _fitting(written + token, words)
            if len(fits) == 1:
                scores[fits[0]] += weight * probability
            elif fits and token == token_text(position):
                follow = probability
            elif fits:
                ambiguous += weight * probability
        if follow is None:
            break
        weight, written = weight * follow, written + token_text(position)
    else:
        ambiguous += weight
    return _listed(scores, unlisted, ambiguous)


def _listed(scores: Sequence[float], unlisted: float, ambiguous: float) -> Listed:
    mass = sum(scores)
    missing = tuple(n for n, score in enumerate(scores) if score == 0)
    filled = [score or unlisted for score in scores]
    distance = ((len(missing) + 1) * unlisted + ambiguous) / mass if mass else math.inf
    dist = tuple(score / sum(filled) for score in filled) if mass else (1 / len(scores),) * len(scores)
    return Listed(dist, min(mass, 1.0), distance, missing)


def _probabilities(position: Mapping[str, Any]) -> dict[str, float]:
    """The probability of each listed text; several tokens of one text are added."""
    found: dict[str, float] = {}
    tokens = position.get("top_logprobs") or []
    values = [_log_prob(token) for token in tokens]
    if not tokens:
        raise Faulty("it lists no alternatives")
    if len(values) > 1 and max(values) > CERTAIN and sorted(values)[-2] < NEVER:
        raise Faulty("it lists them after its choice: the chosen token has all of the probability")
    for token, value in zip(tokens, values, strict=True):
        found[token_text(token)] = found.get(token_text(token), 0.0) + math.exp(value)
    if token_text(position) not in found:
        found[token_text(position)] = math.exp(_log_prob(position))
    if sum(found.values()) > 1 + ROUNDING:
        raise Faulty(f"they sum to {sum(found.values()):.3f}")
    return found


def _log_prob(token: Mapping[str, Any]) -> float:
    value = token.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value > 1e-3:
        raise Faulty(f"{value!r} is no log-probability")
    return min(float(value), 0.0)


def _fitting(text: str, words: Sequence[str]) -> list[int]:
    """The classes that an answer may name which begins with a text; all of them for white space."""
    begun = normal_form(text)
    started = [n for n, word in enumerate(words) if word.startswith(begun) and word != begun]
    named = [n for n, word in enumerate(words) if begun.startswith(word)]
    longest = [n for n in named if len(words[n]) == max(len(words[m]) for m in named)]
    return [*started, *longest]


def refuse_unlisted(error: Exception, where: str) -> InputError:
    """The refusal of a server whose log-probabilities cannot be used."""
    return InputError(f"its log-probabilities cannot be read: {error}.", where=where, remedy=VERBALISED)
