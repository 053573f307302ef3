"""The verdict on an item, computed from the replies only, during a run and again in `validate`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data_curation import filters
from data_curation.chat.parse import Refused, Unreadable, read_distribution, read_reasoning
from data_curation.records import Call, Outcome, Reasoning

JS_THRESHOLD = 0.15
"""Largest accepted Jensen-Shannon divergence between validation and votes, in bits. The default is ours."""


@dataclass(frozen=True)
class AttemptVerdict:
    """The verdict on the latest attempt."""

    outcome: Outcome | None
    """None where every rule holds and the validator was not asked yet."""
    reasons: tuple[str, ...] = ()
    reasoning: Reasoning | None = None
    validated_dist: tuple[float, ...] | None = None
    js_bits: float | None = None
    asked_validator: int = 0
    """Number of the validator's replies about this attempt."""


def js_bits(target: Sequence[float], predicted: Sequence[float]) -> float:
    """Jensen-Shannon divergence in bits, in [0, 1].

    It is `lalm_ambig.core.distributions.js_divergence` in plain Python; a test compares the two. The import of torch
    would take half a gigabyte in a program that does not need it otherwise.

    >>> round(js_bits([1.0, 0.0], [0.5, 0.5]), 4)
    0.3113
    """

    def to_middle(p: Sequence[float], q: Sequence[float]) -> float:
        return sum(a * math.log2(2 * a / (a + b)) for a, b in zip(p, q, strict=True) if a > 0)

    return min(1.0, max(0.0, (to_middle(target, predicted) + to_middle(predicted, target)) / 2))


def judge(
    calls: Sequence[Call], votes: Sequence[float], *, categories: Sequence[str], js_threshold: float
) -> AttemptVerdict:
    """Judge the latest attempt.

    Args:
        calls: At least one call; the first call of an attempt is its writer's.
        votes: Votes of the item, per class.
        categories: The classes.
        js_threshold: Largest accepted divergence in bits.
    """
    attempt = max(call.attempt for call in calls)
    latest = [call for call in calls if call.attempt == attempt]
    written = read_reasoning(latest[0].reply)
    validations = [call for call in latest if call.role == "validator"]
    if isinstance(written, Refused):
        return AttemptVerdict("refused", (f"writer: {written.reason}",))
    if isinstance(written, Unreadable):
        return AttemptVerdict("unreadable", (f"writer: {written.reason}",))
    if reasons := filters.check(written, votes, categories):
        return AttemptVerdict("rejected", tuple(reasons), written)
    if not validations:
        return AttemptVerdict(None, (), written)
    return _judge_validation(written, votes, validations, categories=categories, js_threshold=js_threshold)


def _judge_validation(
    written: Reasoning,
    votes: Sequence[float],
    validations: Sequence[Call],
    *,
    categories: Sequence[str],
    js_threshold: float,
) -> AttemptVerdict:
    asked = len(validations)
    predicted = read_distribution(validations[-1].reply, categories)
    if isinstance(predicted, Refused):
        return AttemptVerdict("refused", (f"validator: {predicted.reason}",), written, asked_validator=asked)
    if isinstance(predicted, Unreadable):
        return AttemptVerdict(
            "unreadable", (f"validator: {predicted.reason}",), written, asked_validator=asked
        )
    target = [vote / sum(votes) for vote in votes]
    js = js_bits(target, predicted)
    if js <= js_threshold:
        return AttemptVerdict("accepted", (), written, predicted, js, asked)
    read = ", ".join(
        f"{name} {share:.0%}" for name, share in zip(categories, predicted, strict=True) if share
    )
    reason = (
        f"validation: from the text alone a reader expects {read}: JS {js:.3f} bits, at most {js_threshold:g}"
    )
    return AttemptVerdict("rejected", (reason,), written, predicted, js, asked)
