"""The JSON object in the body of a response, which is plain JSON or a stream of events.

Some servers that call themselves compatible stream without being asked, put the object into a list, or leave out the
message. This module gives all of them one form for `parse`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

CUT_OFF = ("length", "max_tokens", "model_length", "token_limit")
"""Finish reasons of a reply that reached the token limit."""
DECLINED = (
    "content_filter",
    "contentfilter",
    "safety",
    "prohibited_content",
    "blocklist",
    "recitation",
    "sensitive",
)
"""Finish reasons of a reply that the server's filter stopped."""
BROKEN_OFF = (
    "error",
    "abort",
    "aborted",
    "cancelled",
    "network_error",
    "engine_overloaded",
    "insufficient_system_resource",
)
"""Finish reasons of a reply that the server could not finish."""
_EVENT = re.compile(r"^(?:data|event|id|retry):|^:", re.MULTILINE)


def envelope(reply: str) -> dict[str, Any] | None:
    """The object in a body; None where there is none (broken JSON, an HTML page, an empty body)."""
    text = reply.lstrip("\ufeff").strip()
    body = _json(text)
    if body is None and _EVENT.match(text):
        body = _from_events(text)
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    return body if isinstance(body, dict) else None


def first_choice(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first choice in the body; None where there is none."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    return choices[0]


def message_of(choice: Mapping[str, Any]) -> dict[str, Any] | None:
    """The message of a choice; None where there is none."""
    for name in ("message", "delta"):
        message = choice.get(name)
        if isinstance(message, dict) and message:
            return message
        if isinstance(message, str):
            return {"content": message}
    text = choice.get("text")
    return {"content": text} if isinstance(text, str) else None


def finish_of(choice: Mapping[str, Any]) -> str:
    """The finish reason in lower case; empty where the server gives none."""
    finish = choice.get("finish_reason")
    return finish.lower() if isinstance(finish, str) else ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_events(text: str) -> dict[str, Any]:
    """The object that a stream of events adds up to; without a choice where the stream is incomplete."""
    body: dict[str, Any] = {"choices": []}
    reply = _Streamed()
    for name, data in _events(text):
        chunk = _json(data)
        if data.strip() == "[DONE]":
            reply.ended = True
        elif not isinstance(chunk, dict):
            return {"choices": []}
        elif name == "error" or chunk.get("error"):
            return chunk if chunk.get("error") else {"error": chunk}
        else:
            body |= {key: chunk[key] for key in ("id", "model", "usage") if chunk.get(key) is not None}
            reply.add(first_choice(chunk) or {})
    return body | {"choices": [reply.choice()]} if reply.ended and reply.started else body


def _events(text: str) -> Iterator[tuple[str, str]]:
    """Name and data of each event of a stream. Comments are left out."""
    for block in re.split(r"\r?\n\s*\r?\n", text):
        fields = [line.partition(":") for line in block.splitlines()]
        name = "".join(value.strip() for field, _, value in fields if field == "event")
        lines = [value.strip() for field, _, value in fields if field == "data"]
        if len(lines) > 1 and all(_json(line) is not None or line == "[DONE]" for line in lines):
            yield from ((name, line) for line in lines)
        elif lines:
            yield name, "\n".join(lines)


class _Streamed:
    """The first choice of a stream, collected from its chunks."""

    def __init__(self) -> None:
        self.ended = False
        self.started = False
        self._finish: str | None = None
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._calls: dict[object, dict[str, Any]] = {}

    def add(self, choice: Mapping[str, Any]) -> None:
        self.started = self.started or bool(choice)
        if isinstance(choice.get("finish_reason"), str):
            self._finish, self.ended = choice["finish_reason"], True
        delta = message_of(choice) or {}
        for name in ("content", "refusal"):
            self._message[name] = _joined(self._message.get(name), delta.get(name))
        calls = delta.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict):
                self._add_call(call.get("index", position), call)

    def _add_call(self, index: object, call: Mapping[str, Any]) -> None:
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(index, int):
            return
        joint = self._calls.setdefault(index, {"name": None, "arguments": None})
        joint["name"] = joint["name"] or function.get("name")
        joint["arguments"] = _joined(joint["arguments"], function.get("arguments"))

    def choice(self) -> dict[str, Any]:
        calls = [{"type": "function", "function": call} for _, call in sorted(self._calls.items())]
        message = self._message | ({"tool_calls": calls} if calls else {})
        return {"index": 0, "finish_reason": self._finish, "message": message}


def _joined(before: Any, more: Any) -> Any:
    """Two pieces of a stream, joined where both are text. Anything else comes in one piece."""
    if more is None or more == "":
        return before
    return before + more if isinstance(before, str) and isinstance(more, str) else more
