"""Reads a reasoning or a distribution from a reply, or says exactly why there is none. Nothing is guessed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import ValidationError

from data_curation.chat.content import CALL_KEYS, arguments_of, refusal_in, written_in
from data_curation.chat.envelope import CUT_OFF, DECLINED, envelope, finish_of, first_choice, message_of
from data_curation.records import Reasoning, Usage
from lalm_ambig.core.categories import normal_form

DECLINED_CODE = "content_filter"
DECLINED_CODES = ("content_policy_violation", DECLINED_CODE)
MOST_TOKENS = 10**9
"""More tokens than any reply has."""
MOST_SHARE = 1e12
"""Far above percentages and counts. Without a limit a sum of shares could overflow."""
SHOWN = 120
"""Characters of a reply that a message quotes."""


@dataclass(frozen=True)
class Refused:
    """The model declined to answer."""

    reason: str


@dataclass(frozen=True)
class Unreadable:
    """The reply is not what the question asked for."""

    reason: str


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Tokens as the server counted them, without a cost; None where it gives no count."""
    usage = body.get("usage")
    if not isinstance(usage, dict) or not _is_count(usage.get("prompt_tokens")):
        return None
    details = usage.get("prompt_tokens_details")
    audio = details.get("audio_tokens") if isinstance(details, dict) else 0
    completion = usage.get("completion_tokens")
    if completion is not None and not _is_count(completion):
        return None
    return Usage(
        prompt_tokens=usage["prompt_tokens"],
        audio_tokens=audio if _is_count(audio) else 0,
        completion_tokens=completion or 0,
    )


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS


def read_reasoning(reply: str) -> Reasoning | Refused | Unreadable:
    """The reasoning in a writer's reply, or why there is none."""
    fields = _fields(reply)
    if not isinstance(fields, dict):
        return fields
    try:
        return Reasoning.model_validate(fields)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:5])
        return Unreadable(f"the fields do not fit: {'; '.join(wrong)}")


def read_distribution(reply: str, categories: Sequence[str]) -> tuple[float, ...] | Refused | Unreadable:
    """The distribution in a validator's reply, divided by its sum, or why there is none.

    The rules are those of the verbalised readout. Class names match in any case and Unicode form, and a missing class
    is 0. A reply is unreadable with an unknown or repeated class, a negative or non-numeric share, or a sum of 0.

    Args:
        reply: The body of the response.
        categories: The classes, in the order of the result.
    """
    fields = _fields(reply)
    if not isinstance(fields, dict):
        return fields
    position = {normal_form(name): index for index, name in enumerate(categories)}
    shares = [0.0] * len(categories)
    named = set[int]()
    for name, share in fields.items():
        index = position.get(normal_form(name))
        if index is None:
            return Unreadable(f"unknown class {name[:SHOWN]!r}")
        if index in named:
            return Unreadable(f"class {name[:SHOWN]!r} stands twice")
        named.add(index)
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not 0 <= share <= MOST_SHARE:
            return Unreadable(f"the share of {name} is no share: {str(share)[:SHOWN]!r}")
        shares[index] = float(share)
    total = sum(shares)
    return tuple(share / total for share in shares) if total > 0 else Unreadable("all shares are 0")


def _fields(reply: str) -> dict[str, Any] | Refused | Unreadable:
    """The JSON object that the model wrote, as arguments of a tool or as text."""
    body = envelope(reply)
    if body is None:
        return Unreadable(f"no Chat Completions reply: {' '.join(reply.split())[:SHOWN]!r}")
    choice = first_choice(body)
    if choice is None:
        return _without_choice(body)
    message, finish = message_of(choice) or {}, finish_of(choice)
    refusal = refusal_in(message)
    if refusal or finish in DECLINED:
        return Refused(refusal or "stopped by the server's content filter")
    if finish in CUT_OFF:
        return Unreadable("cut off at the token limit, shorter sentences are needed")
    if not message:
        return Unreadable("the reply holds no message")
    written = written_in(message)
    if isinstance(written, dict):
        return written
    if not written.strip():
        return Unreadable("the reply is empty")
    objects = list(_objects(written))
    if not objects:
        return Unreadable(f"no JSON object in the reply: {' '.join(written.split())[:SHOWN]!r}")
    return _unwrapped(objects[-1])


def _without_choice(body: Mapping[str, Any]) -> Refused | Unreadable:
    error = body.get("error")
    if not isinstance(error, dict):
        return Unreadable("the reply holds no choice")
    message = str(error.get("message", "no message"))[:SHOWN]
    if error.get("code") in DECLINED_CODES:
        return Refused(message)
    return Unreadable(f"the server answered with an error: {message}")


def _unwrapped(fields: dict[str, Any]) -> dict[str, Any]:
    """The arguments, where a model wrote the whole tool call as text."""
    if not {"name", "function"} & set(fields) or not set(fields) <= CALL_KEYS:
        return fields
    arguments = arguments_of(fields)
    if isinstance(arguments, str):
        objects = list(_objects(arguments))
        return objects[-1] if objects else fields
    return arguments


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Each outermost JSON object in a text, in order."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = text.find("{", end)
