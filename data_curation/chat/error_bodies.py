"""Reads the error in the body of a response, in any of the forms that servers have for it.

OpenAI has {"error": {"message", "type", "code", "param"}}. Others write the code as a number, or the error as plain
text, in a list or in a choice: {"object": "error", …}, {"detail": …}, {"errors": […]}, {"base_resp": …} or
{"message": …}.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_curation.chat.envelope import (
    BROKEN_OFF,
    CUT_OFF,
    DECLINED,
    envelope,
    finish_of,
    first_choice,
    message_of,
)

STATUS_KEYS = (
    "code",
    "status",
    "status_code",
    "statuscode",
    "error_code",
    "http_status",
    "httpcode",
    "http_code",
)
NAME_KEYS = (*STATUS_KEYS, "type", "error_type", "reason", "block_reason", "blockreason")
PARAM_KEYS = ("param", "loc")
MESSAGE_KEYS = (
    "message",
    "msg",
    "error",
    "detail",
    "error_msg",
    "error_message",
    "errormessage",
    "status_msg",
)
TELLING_KEYS = (*NAME_KEYS, *PARAM_KEYS, *MESSAGE_KEYS)
ERROR_KEYS = (
    "error",
    "errors",
    "detail",
    "base_resp",
    "error_msg",
    "error_message",
    "error_code",
    "message",
    "msg",
)
IGNORED_KEYS = (
    "input",
    "ctx",
    "url",
    "request_id",
    "user_id",
    "id",
    "created",
    "model",
    "usage",
    "choices",
    "headers",
)
"""Keys that say nothing about an error. `input` is the request, sent back."""
DEEPEST = 6
"""Most levels of an error, and most entries of a list, that are read."""
_STATUS_TEXT = re.compile(r"(?:^|http|status|code)[\s:=\"'(]*([45]\d\d)\b", re.IGNORECASE)
_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class ServerError:
    """An error as the server describes it."""

    message: str
    status: int | None = None
    """The HTTP status that the body has as its code."""
    status_in_words: int | None = None
    """The HTTP status in its message."""
    names: tuple[str, ...] = ()
    """Codes and types, in lower case."""
    param: str = ""
    """The parameter that it names in a separate field."""
    evidence: str = ""
    """All text about the error, in which names of parameters are looked up."""


def server_error_in(reply: str) -> ServerError | None:
    """The error in a body; None where the body holds a reply."""
    body = envelope(reply)
    if body is None:
        return _without_object(reply)
    choice = first_choice(body)
    if choice is not None and _real(choice.get("error")):
        return _read(choice["error"])
    if _real(body.get("error")):
        return _read(body)
    if choice is None or not (message_of(choice) or finish_of(choice) in CUT_OFF + DECLINED):
        says = any(_real(body.get(key)) for key in ERROR_KEYS)
        says = says or "error" in (body.get("object"), body.get("type"))
        return (
            _read(body)
            if says
            else ServerError(f"the server answered with what holds no reply: {json.dumps(body)}")
        )
    if finish_of(choice) in BROKEN_OFF:
        return ServerError(f"the server broke its reply off (finish_reason {finish_of(choice)})")
    return None


def _read(error: Any) -> ServerError:
    """The error in a JSON value of any form."""
    entries = list(_walk(error))
    messages = [value for key, value in entries if key in MESSAGE_KEYS and isinstance(value, str)]
    statuses = [status for key, value in entries if key in STATUS_KEYS and (status := _status(value))]
    return ServerError(
        message="; ".join(dict.fromkeys(messages)) or json.dumps(error),
        status=next(iter(statuses), None),
        status_in_words=_status_in(" ; ".join(messages)),
        names=tuple(str(value).lower() for key, value in entries if key in NAME_KEYS),
        param=" ".join(str(value) for key, value in entries if key in PARAM_KEYS and value != "body"),
        evidence=" ; ".join(
            str(value) if key in TELLING_KEYS else f"{key}: {value}" for key, value in entries
        ),
    )


def _walk(value: Any, key: str = "message", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Each text and number with its key, outer ones first."""
    if depth > DEEPEST:
        return
    if isinstance(value, dict):
        entries = [(str(name).lower(), entry) for name, entry in value.items() if name not in IGNORED_KEYS]
        entries.sort(key=lambda entry: isinstance(entry[1], dict | list))
        for name, entry in entries:
            yield from _walk(entry, name, depth + 1)
    elif isinstance(value, list):
        for entry in value[:DEEPEST]:
            yield from _walk(entry, key, depth + 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield key, value


def _real(error: object) -> bool:
    """Whether a value is an error: not null, not empty, and not a code of 0 or 200."""
    if isinstance(error, Mapping):
        codes = [str(error[key]) for key in STATUS_KEYS if key in error]
        return any(error.values()) and not (codes and all(code in ("0", "200", "ok") for code in codes))
    return bool(error) and str(error) not in ("0", "200")


def _without_object(reply: str) -> ServerError:
    text = reply.strip()
    if not text:
        return ServerError("the server answered with an empty body")
    if text[0] in "{[":
        return ServerError("the server answered with JSON that breaks off or is broken")
    heads = "; ".join(dict.fromkeys(" ".join(head.split()) for _, head in _TITLE.findall(text)))
    if heads or "<html" in text.lower() or "<!doctype" in text.lower():
        message = f"the server answered with a page of HTML{f': {heads}' if heads else ''}"
        return ServerError(message, status_in_words=_status_in(heads))
    return ServerError(
        f"the server answered with no JSON: {text}", status_in_words=_status_in(text), evidence=text
    )


def _status(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if re.fullmatch(r"[45]\d\d", text) else None


def _status_in(text: str) -> int | None:
    match = _STATUS_TEXT.search(text)
    return int(match[1]) if match else None
