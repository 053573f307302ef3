"""The content that a model wrote, from its message: arguments of a tool, text, or an object."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from data_curation.chat.envelope import CUT_OFF, DECLINED, envelope, finish_of, first_choice, message_of

ARGUMENTS = ("arguments", "parameters", "input", "args")
"""Names that servers have for the arguments of a tool call."""
CALL_KEYS = {*ARGUMENTS, "name", "function", "type", "id"}
TEXT_PARTS = ("text", "output_text", "json", "output_json")
TOOL_PARTS = ("tool_use", "tool_call", "function_call")


def refusal_in(message: Mapping[str, Any]) -> str:
    """The model's words of refusal; empty where it did not refuse."""
    parts = message.get("content")
    refusals = [message.get("refusal")]
    refusals += (
        [part.get("refusal") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    )
    return " ".join(text for text in refusals if isinstance(text, str) and text)


def written_in(message: Mapping[str, Any]) -> str | dict[str, Any]:
    """Arguments of the first tool call that has any, or else the text (or the object, where the server parsed it)."""
    calls = message.get("tool_calls")
    calls = [*(calls if isinstance(calls, list) else [calls]), message.get("function_call")]
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    calls += [part for part in parts if isinstance(part, dict) and part.get("type") in TOOL_PARTS]
    for call in calls:
        if isinstance(call, dict) and (arguments := arguments_of(call)):
            return arguments
    return _text(parts)


def arguments_of(call: Mapping[str, Any]) -> str | dict[str, Any]:
    """Arguments of a tool call, under any of their names; empty where there are none."""
    function = call.get("function")
    holder = function if isinstance(function, dict) else call
    for name in ARGUMENTS:
        arguments = holder.get(name)
        if isinstance(arguments, list) and len(arguments) == 1:
            arguments = arguments[0]
        if isinstance(arguments, str) and arguments.strip().startswith('"'):
            arguments = _text_in_text(arguments)
        if isinstance(arguments, str | dict) and arguments:
            return arguments
    return ""


def _text_in_text(arguments: str) -> str:
    """Arguments that were encoded as JSON twice, decoded once."""
    try:
        inner = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    return inner if isinstance(inner, str) else arguments


def _text(parts: Sequence[object]) -> str | dict[str, Any]:
    """The text of a content, which is one piece or several parts. Parts with thoughts are left out."""
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and "type" not in part and not isinstance(part.get("text"), str):
            return part
        elif isinstance(part, dict) and part.get("type", "text") in TEXT_PARTS:
            text = part.get("text", part.get("content", part.get("json")))
            text = text.get("value") if isinstance(text, dict) and "value" in text else text
            if isinstance(text, dict):
                return text
            texts.append(text if isinstance(text, str) else "")
    return "".join(texts)


def ignores_structure(reply: str) -> bool:
    """Whether a reply is prose although an object was asked for."""
    choice = first_choice(envelope(reply) or {}) or {}
    if finish_of(choice) in (*CUT_OFF, *DECLINED):
        return False
    written = written_in(message_of(choice) or {})
    return isinstance(written, str) and bool(written.strip()) and "{" not in written
