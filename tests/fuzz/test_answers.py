"""Answers of a model: whatever it writes is a distribution, or unparsable for a reason."""

import math
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from mutation import in_time, mutated

from data_curation.chat.envelope import envelope
from data_curation.chat.parse import read_distribution, read_reasoning, usage_of
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.readouts.verbalised import Reason, Unparsed, is_bare, is_reasoned, parse

CLASSES = CategorySet(("anger", "fear", "happiness", "neutral"))
ANSWERS = (
    b'{"anger": 0.5, "fear": 0.25, "happiness": 0, "neutral": 0.25}',
    b'The voice is flat.\n```json\n{\n  "Anger": 50,\n  "neutral": 50\n}\n```\n',
    b'{"anger": 1} or rather {"anger": 3, "happiness": 1e0} {"fear": 1, "neu',
    b'{"answer": {"anger": [0.5, {"fear": "\\u0041"}]}, "anger": 1}',
)


@given(mutated(ANSWERS), st.sampled_from(("surrogateescape", "replace")))
def test_an_answer_is_a_distribution_or_unparsed(content: bytes, errors: str) -> None:
    text = content.decode("utf-8", errors)
    with in_time():
        found = parse(text, CLASSES)
        assert not (is_bare(text) and is_reasoned(text))
    if isinstance(found, Unparsed):
        assert found.reason in get_args(Reason)
    else:
        check_distribution(found, len(CLASSES))


def check_distribution(dist: tuple[float, ...], size: int) -> None:
    assert len(dist) == size
    assert all(math.isfinite(share) and share >= 0 for share in dist)
    assert abs(sum(dist) - 1) < 1e-9


REPLIES = (
    b'{"choices": [{"message": {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function",'
    b' "function": {"name": "distribution", "arguments": "{\\"anger\\": 0.5, \\"fear\\": 0.5, \\"happiness\\": 0,'
    b' \\"neutral\\": 0}"}}]}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}',
    b'{"choices": [{"message": {"content": "{\\"anger\\": 1, \\"fear\\": 0, \\"happiness\\": 0, \\"neutral\\": 0}"}}]}',
)


@given(mutated(REPLIES))
def test_a_reply_of_a_server_is_a_distribution_or_says_why_not(content: bytes) -> None:
    reply = content.decode("utf-8", "surrogateescape")
    with in_time():
        read_reasoning(reply)
        usage = usage_of(envelope(reply) or {})
        found = read_distribution(reply, CLASSES.names)
    if usage is not None:
        assert min(usage.prompt_tokens, usage.audio_tokens, usage.completion_tokens) >= 0
    if isinstance(found, tuple):
        check_distribution(found, len(CLASSES))
