"""Reading a reply: a reasoning or a distribution, or exactly why it is neither. Nothing is guessed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import ValidationError

from data_curation.records import Reasoning, Usage
from lalm_ambig.categories import normal_form

DECLINED_CODES = ("content_policy_violation", "content_filter")
MOST_TOKENS = 10**9
"""More than any reply has."""
MOST_SHARE = 1e12
"""Far beyond percentages and counts; without a limit a sum of shares could overflow."""
SHOWN = 120
"""Characters of a reply that a message quotes."""


@dataclass(frozen=True)
class Refused:
    """The model declined to answer."""

    reason: str


@dataclass(frozen=True)
class Unreadable:
    """A reply came, and it is not what was asked for."""

    reason: str


def envelope(reply: str) -> dict[str, Any] | None:
    """The reply as a Chat Completions object, or None where it is none (broken JSON, an HTML page, …)."""
    try:
        body = json.loads(reply)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and ("choices" in body or "error" in body) else None


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Tokens as the server counted them, without a cost; None where it does not say."""
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
    """The structured reasoning in a writer's reply."""
    fields = _fields(reply)
    if not isinstance(fields, dict):
        return fields
    try:
        return Reasoning.model_validate(fields)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:5])
        return Unreadable(f"the fields do not fit: {'; '.join(wrong)}")


def read_distribution(reply: str, categories: Sequence[str]) -> tuple[float, ...] | Refused | Unreadable:
    """The distribution in a validator's reply, divided by its sum.

    Class names match in any case and Unicode form; a missing class is 0; an unknown class, one that stands twice, a
    negative or non-numeric share or a sum of 0 makes the reply unreadable: the rules of the verbalised readout.
    """
    fields = _fields(reply)
    if not isinstance(fields, dict):
        return fields
    position = {normal_form(name): index for index, name in enumerate(categories)}
    shares = [0.0] * len(categories)
    stated = set[int]()
    for name, share in fields.items():
        index = position.get(normal_form(name))
        if index is None:
            return Unreadable(f"unknown class {name[:SHOWN]!r}")
        if index in stated:
            return Unreadable(f"class {name[:SHOWN]!r} stands twice")
        stated.add(index)
        number = isinstance(share, int | float) and not isinstance(share, bool)
        if not number or not 0 <= share <= MOST_SHARE:
            return Unreadable(f"the share of {name} is no share: {str(share)[:SHOWN]!r}")
        shares[index] = float(share)
    total = sum(shares)
    return tuple(share / total for share in shares) if total > 0 else Unreadable("all shares are 0")


def _fields(reply: str) -> dict[str, Any] | Refused | Unreadable:
    """The JSON object that the model wrote, as a tool's arguments or as text."""
    body = envelope(reply)
    if body is None:
        return Unreadable(f"no Chat Completions reply: {' '.join(reply.split())[:SHOWN]!r}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return _without_choice(body)
    message = choices[0].get("message")
    finish = choices[0].get("finish_reason")
    if not isinstance(message, dict):
        return Unreadable("the reply holds no message")
    if message.get("refusal") or finish == "content_filter":
        return Refused(str(message.get("refusal") or "stopped by the server's content filter"))
    if finish == "length":
        return Unreadable("cut off at the token limit, shorter sentences are needed")
    written = _written(message)
    if not written.strip():
        return Unreadable("the reply is empty")
    found = list(_objects(written))
    return (
        found[-1]
        if found
        else Unreadable(f"no JSON object in the reply: {' '.join(written.split())[:SHOWN]!r}")
    )


def _without_choice(body: Mapping[str, Any]) -> Refused | Unreadable:
    error = body.get("error")
    if not isinstance(error, dict):
        return Unreadable("the reply holds no choice")
    message = str(error.get("message", "no message"))[:SHOWN]
    if error.get("code") in DECLINED_CODES:
        return Refused(message)
    return Unreadable(f"the server answered with an error: {message}")


def _written(message: Mapping[str, Any]) -> str:
    """The arguments of the first tool call, or the text."""
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls and isinstance(calls[0], dict):
        function = calls[0].get("function")
        return str(function.get("arguments") or "") if isinstance(function, dict) else ""
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object in a text, outermost ones, in order."""
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
