"""The forms in which servers return the content that a model wrote."""

import json
from typing import Any

import pytest

from data_curation.chat.parse import Refused, Unreadable, read_distribution

CLASSES = ("anger", "fear", "neutral")
SHARES = {"anger": 1, "fear": 3}
TEXT = json.dumps(SHARES)


def tool(arguments: Any, **function: Any) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments, **function}}


MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"content": TEXT},
    "tool": {"content": None, "tool_calls": [tool(TEXT)]},
    "tool beside text": {"content": "I shall call it.", "tool_calls": [tool(TEXT)]},
    "arguments as an object": {"tool_calls": [tool(SHARES)]},
    "arguments written twice": {"tool_calls": [tool(json.dumps(TEXT))]},
    "arguments in a list": {"tool_calls": [tool([SHARES])]},
    "one call, no list": {"tool_calls": tool(TEXT)},
    "no function around it": {"tool_calls": [{"name": "f", "arguments": SHARES}]},
    "parameters": {"tool_calls": [{"function": {"name": "f", "parameters": SHARES}}]},
    "second call": {"tool_calls": [tool(""), tool(TEXT)]},
    "calls without arguments": {"content": TEXT, "tool_calls": [tool("")]},
    "no calls": {"content": TEXT, "tool_calls": []},
    "null calls": {"content": TEXT, "tool_calls": None},
    "old function call": {"content": None, "function_call": {"name": "f", "arguments": TEXT}},
    "part of text": {"content": [{"type": "text", "text": TEXT}]},
    "part of output": {"content": [{"type": "output_text", "text": TEXT, "annotations": []}]},
    "several parts": {"content": [{"type": "text", "text": TEXT[:5]}, {"type": "text", "text": TEXT[5:]}]},
    "parts of text alone": {"content": ["Here: ", TEXT]},
    "value in a part": {"content": [{"type": "text", "text": {"value": TEXT}}]},
    "thoughts before": {
        "content": [{"type": "thinking", "thinking": '{"neutral": 1}'}, {"type": "text", "text": TEXT}]
    },
    "thoughts beside": {"content": TEXT, "reasoning_content": '{"neutral": 1}'},
    "thoughts inside": {"content": f'<think>{{"neutral": 1}}</think>{TEXT}'},
    "tool part": {"content": [{"type": "tool_use", "name": "f", "input": SHARES}]},
    "object as content": {"content": SHARES},
    "call as text": {"content": f"<tool_call>{json.dumps({'name': 'f', 'arguments': SHARES})}</tool_call>"},
    "call as text, twice": {
        "content": json.dumps({"type": "function", "function": {"name": "f", "arguments": TEXT}})
    },
    "empty refusal": {"content": TEXT, "refusal": ""},
}


def reply(message: Any, finish: str | None = "stop") -> str:
    return json.dumps({"choices": [{"index": 0, "finish_reason": finish, "message": message}]})


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_distribution_is_found_in_every_form(message: dict[str, Any]) -> None:
    assert read_distribution(reply(message), CLASSES) == pytest.approx((0.25, 0.75, 0.0))


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"refusal": "I cannot."}, "stop", Refused("I cannot.")),
        ({"content": [{"type": "refusal", "refusal": "I cannot."}]}, "stop", Refused("I cannot.")),
        (None, "content_filter", Refused("stopped by the server's content filter")),
        ({"content": TEXT}, "SAFETY", Refused("stopped by the server's content filter")),
        (
            {"content": TEXT},
            "MAX_TOKENS",
            Unreadable("cut off at the token limit, shorter sentences are needed"),
        ),
        (None, "length", Unreadable("cut off at the token limit, shorter sentences are needed")),
        (None, "stop", Unreadable("the reply holds no message")),
        ({"content": None, "reasoning_content": TEXT}, "stop", Unreadable("the reply is empty")),
        ({"content": [{"type": "thinking", "thinking": TEXT}]}, "stop", Unreadable("the reply is empty")),
        ({"content": 3}, "stop", Unreadable("the reply is empty")),
    ],
)
def test_what_holds_no_distribution_says_why(
    message: Any, finish: str, expected: Refused | Unreadable
) -> None:
    assert read_distribution(reply(message, finish), CLASSES) == expected
