"""Parameters that servers decline, in their words: each is learnt once, named in one line, and changed from then on."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from small_corpus import Finished, make_corpus, rows_of, run_main, write_arguments
from stub_server import Received, StubServer, error, message_with, reasoning, reply

from data_curation.chat.dialect import Dialect
from data_curation.chat.failures import failure_of
from data_curation.chat.lessons import learn
from data_curation.questions import Question, writer_question
from lalm_ambig.core.items import Item

ASK: Question = writer_question(
    Item("a", (3.0, 1.0), text="Well."), ("anger", "fear"), clip=None, max_tokens=1200
)
START = Dialect(temperature=0.2)
OPENAI = "Unsupported value: 'temperature' does not support 0.2. Only the default (1) value is supported."
CONTEXT = "'max_tokens' or 'max_completion_tokens' is too large: 1200. The maximum context length is 2048."


def error_body(message: str, **fields: Any) -> dict[str, Any]:
    return {
        "error": {"message": message, "type": "invalid_request_error", "code": None, "param": None, **fields}
    }


def pydantic(*loc: str) -> dict[str, Any]:
    entry = {
        "type": "extra_forbidden",
        "loc": list(loc),
        "msg": "Extra inputs are not permitted",
        "input": {"tools": 1},
    }
    return {"detail": [entry]}


LIMIT = replace(START, limit="max_tokens")
LEARNT: dict[str, tuple[int, object, Dialect, Dialect]] = {
    "OpenAI, limit": (
        400,
        error_body("Unrecognized request argument supplied: max_completion_tokens"),
        START,
        LIMIT,
    ),
    "param alone": (
        400,
        error_body("Extra inputs are not permitted", param="max_completion_tokens"),
        START,
        LIMIT,
    ),
    "pydantic": (422, pydantic("body", "max_completion_tokens"), START, LIMIT),
    "Mistral": (422, {"object": "error", "message": pydantic("body", "max_completion_tokens")}, START, LIMIT),
    "camel case": (400, [error_body('Unknown name "maxCompletionTokens": Cannot find field.')], START, LIMIT),
    "blanks": (400, {"error": "max completion tokens is not supported"}, START, LIMIT),
    "in a 500": (500, error_body("max_completion_tokens is not implemented"), START, LIMIT),
    "in a 200": (
        200,
        error_body("unexpected keyword argument 'max_completion_tokens'", code=400),
        START,
        LIMIT,
    ),
    "field as key": (400, {"max_completion_tokens": ["unknown field"], "message": "bad"}, START, LIMIT),
    "inside a wrapped error": (
        400,
        error_body(
            "Provider returned error",
            metadata={"raw": '{"detail":"unknown parameter max_completion_tokens"}'},
        ),
        START,
        LIMIT,
    ),
    "explained": (
        400,
        error_body(
            "Unknown field max_completion_tokens. Use max_tokens to set the maximum number of tokens."
        ),
        START,
        LIMIT,
    ),
    "with a list of what is taken": (
        400,
        error_body("Unknown field max_completion_tokens, expected model, messages, temperature, tools"),
        START,
        LIMIT,
    ),
    "temperature before others": (
        400,
        error_body("temperature is not supported beside max_tokens and tools"),
        START,
        replace(START, temperature=None),
    ),
    "the other one is missing": (422, error_body("missing field `max_tokens`"), START, LIMIT),
    "neither": (400, error_body("Unsupported parameter: 'max_tokens'"), LIMIT, replace(START, limit=None)),
    "unnamed": (400, error_body("Extra inputs are not permitted"), START, LIMIT),
    "unnamed again": (400, error_body("Unknown parameter"), LIMIT, replace(LIMIT, temperature=None)),
    "temperature": (400, error_body(OPENAI, param="temperature"), START, replace(START, temperature=None)),
    "temperature's range": (
        400,
        error_body("temperature must be less than or equal to 0.1"),
        START,
        replace(START, temperature=None),
    ),
    "limit's value": (
        400,
        error_body("max_tokens is too large: 1200. This model supports at most 1,024 completion tokens."),
        LIMIT,
        replace(LIMIT, most_tokens=1024),
    ),
    "tools": (400, error_body("tools are not supported"), START, replace(START, structured="json_schema")),
    "tools behind a 404": (
        404,
        error_body("No endpoints found that support tool use", code=404),
        START,
        replace(START, structured="json_schema"),
    ),
    "tools behind a 500": (
        500,
        {"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}},
        START,
        replace(START, structured="json_schema"),
    ),
    "strict": (
        400,
        error_body("response_format.json_schema.strict: unknown field", param="strict"),
        replace(START, structured="json_schema"),
        replace(START, structured="json_schema", strict=False),
    ),
    "schema": (
        400,
        error_body("This response_format type is unavailable now"),
        replace(START, structured="json_schema"),
        replace(START, structured="text"),
    ),
    "choice of a tool that the user wants": (
        400,
        error_body("tool_choice must be auto or required"),
        replace(START, may_fall_back=False),
        replace(START, may_fall_back=False, tool_choice="required"),
    ),
    "system": (400, error_body("System role not supported"), START, replace(START, system=False)),
    "sound": (400, error_body("This model requires audio input."), START, replace(START, silence=True)),
}
NOTHING: dict[str, tuple[int, object, Dialect]] = {
    "too long an item": (400, error_body(CONTEXT, code="context_length_exceeded"), START),
    "another mistake": (400, error_body("messages[1]: the clip is no WAV file"), START),
    "a limit that is needed": (
        400,
        error_body("Unknown field max_tokens"),
        replace(LIMIT, limit_needed=True),
    ),
    "a structure that was chosen": (400, error_body("no tools here"), replace(START, may_fall_back=False)),
    "an outage": (500, error_body("the tool server is down"), START),
    "a wrong key": (401, error_body("no access to tools"), START),
    "a wrong model": (404, error_body("The model 'm' does not exist"), START),
    "a limit of calls": (429, error_body("temperature limit"), START),
}


@pytest.mark.parametrize(("status", "body", "before", "after"), LEARNT.values(), ids=LEARNT)
def test_what_a_server_declines_is_done_otherwise(
    status: int, body: object, before: Dialect, after: Dialect
) -> None:
    failure = failure_of(status, json.dumps(body), {}, clean=str)
    assert failure is not None
    lesson = learn(failure, ASK, before, answered=False)
    assert lesson is not None and lesson.dialect == after


@pytest.mark.parametrize(("status", "body", "before"), NOTHING.values(), ids=NOTHING)
def test_what_is_about_no_parameter_teaches_nothing(status: int, body: object, before: Dialect) -> None:
    failure = failure_of(status, json.dumps(body), {}, clean=str)
    assert failure is not None and learn(failure, ASK, before, answered=False) is None


def test_a_server_that_has_answered_is_not_doubted_for_one_nameless_mistake() -> None:
    failure = failure_of(400, json.dumps(error_body("Unknown parameter")), {}, clean=str)
    assert failure is not None and learn(failure, ASK, START, answered=True) is None


def test_what_is_left_out_is_not_sent() -> None:
    every = replace(START, temperature=None, limit=None, structured="json_schema", strict=False, system=False)
    body = every.body(ASK, "m")
    assert set(body) == {"model", "messages", "response_format"}
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert body["messages"][0]["content"].startswith(ASK.system)
    assert "strict" not in body["response_format"]["json_schema"]
    assert replace(START, limit="max_tokens", most_tokens=1000).body(ASK, "m")["max_tokens"] == 1000
    assert replace(START, tool_choice="required").body(ASK, "m")["tool_choice"] == "required"


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", 8)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def write(corpus: Path, out: Path, stub: StubServer, *more: object) -> Finished:
    return run_main(*write_arguments(corpus, out, stub.url), "--limit", 3, "--retry-pause", 0.01, *more)


def declining(stub: StubServer, answer: Callable[[dict[str, Any]], web.Response | None]) -> None:
    async def misbehave(came: Received) -> web.Response | None:
        return answer(came.body)

    stub.misbehave = misbehave


def test_another_name_of_the_limit_is_learnt_once_for_both_models(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    message = "Unrecognized request argument supplied: max_completion_tokens"
    declining(stub, lambda body: error(400, message) if "max_completion_tokens" in body else None)
    ended = write(corpus, out, stub, "--concurrency", 1, "--validator-model", "other")
    assert ended.code == 0 and stub.count == 7
    assert [came.body.get("max_tokens") for came in stub.received] == [None, *[1200, 300] * 3]
    lines = [line for line in ended.err.splitlines() if "declines" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        "the server declines max_completion_tokens: max_tokens is sent instead from now on"
    )


def test_many_workers_learn_it_once(stub: StubServer, corpus: Path, out: Path) -> None:
    declining(
        stub, lambda body: error(400, "max_completion_tokens?") if "max_completion_tokens" in body else None
    )
    ended = write(corpus, out, stub, "--limit", 8, "--concurrency", 8)
    assert ended.code == 0 and ended.err.count("declines") == 1 and stub.count <= 24


def test_a_server_that_takes_almost_nothing_is_found_out(stub: StubServer, corpus: Path, out: Path) -> None:
    def picky(body: dict[str, Any]) -> web.Response | None:
        extra = sorted(set(body) - {"model", "messages"})
        return error(422, f"unknown field: {extra[-1]}") if extra else None

    declining(stub, picky)
    ended = write(corpus, out, stub, "--temperature", 0.3, "--concurrency", 1)
    assert ended.code == 0, ended.err
    assert set(stub.received[-1].body) == {"model", "messages"}
    assert {call["structured"] for row in rows_of(out) for call in row["calls"]} == {"text"}


def test_with_a_cap_a_limit_of_tokens_is_never_given_up(stub: StubServer, corpus: Path, out: Path) -> None:
    declining(
        stub,
        lambda body: (
            error(400, "no max_tokens, please") if "max_tokens" in body else error(400, "max_tokens")
        ),
    )
    ended = write(corpus, out, stub, "--max-cost-usd", 1)
    assert ended.code == 1 and all(
        {"max_tokens", "max_completion_tokens"} & set(c.body) for c in stub.received
    )


def test_a_server_that_ignores_tools_is_asked_in_another_way(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    async def prose(came: Received) -> web.Response | None:
        if "tools" in came.body or "response_format" in came.body:
            return reply(came, role="assistant", content="The speaker sounds angry.")
        return None

    stub.misbehave = prose
    ended = write(corpus, out, stub, "--concurrency", 1)
    assert ended.code == 0 and {row["outcome"] for row in rows_of(out)} == {"accepted"}
    assert stub.count == 8 and ended.err.count("declines") == 2


def test_one_reply_in_prose_changes_nothing_where_tools_are_kept_to(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    async def once(came: Received) -> web.Response | None:
        return reply(came, role="assistant", content="Sorry?") if came.number == 2 else None

    stub.misbehave = once
    ended = write(corpus, out, stub, "--concurrency", 1)
    assert ended.code == 0 and "declines" not in ended.err and all("tools" in c.body for c in stub.received)


def test_arguments_as_an_object_are_the_fields(stub: StubServer, corpus: Path, out: Path) -> None:
    async def as_object(came: Received) -> web.Response | None:
        if came.role != "writer":
            return None
        message = message_with(came, "")
        message["tool_calls"][0]["function"]["arguments"] = reasoning(came.text)
        return reply(came, **message)

    stub.misbehave = as_object
    assert write(corpus, out, stub).code == 0 and stub.count == 6
    assert {row["outcome"] for row in rows_of(out)} == {"accepted"}
