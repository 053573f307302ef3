"""Everything that can go wrong between the openai writer and its server, over real HTTP."""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from small_corpus import Finished, make_corpus, rows_of, run_main, write_arguments
from stub_server import Received, StubServer, error, message_with, reasoning, reply


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", 80)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def write(corpus: Path, out: Path, stub: StubServer, *more: object) -> Finished:
    return run_main(*write_arguments(corpus, out, stub.url), "--limit", 1, "--retry-pause", 0.01, *more)


def first_only(response: web.Response) -> "Failing":
    return Failing(response_of=lambda _: response, times=1)


class Failing:
    """Misbehaves for the first so many requests."""

    def __init__(self, response_of: object, times: int | None = None) -> None:
        self.response_of = response_of
        self.times = times
        self.came = 0

    async def __call__(self, came: Received) -> web.StreamResponse | None:
        self.came += 1
        if self.times is not None and self.came > self.times:
            return None
        response = self.response_of(came)  # type: ignore[operator]
        return await response if asyncio.iscoroutine(response) else response


@pytest.mark.parametrize(
    ("header", "value", "wait_s"), [("retry_after", "1", 1.0), ("retry_after_ms", "300", 0.3)]
)
def test_a_429_cools_everybody_down_for_as_long_as_the_server_says(
    stub: StubServer, corpus: Path, out: Path, header: str, value: str, wait_s: float
) -> None:
    stub.misbehave = first_only(error(429, "slow down", "rate_limit_exceeded", **{header: value}))
    started_s = time.monotonic()
    ended = write(corpus, out, stub)
    assert ended.code == 0 and rows_of(out)[0]["outcome"] == "accepted"
    assert time.monotonic() - started_s >= wait_s
    assert f"cooling down for {wait_s:g} s" in ended.err and "slow down" in ended.err


def test_a_retry_after_of_600_s_holds_all_calls_and_can_be_interrupted(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    ctrl_c = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))

    async def later(came: Received) -> web.Response:
        if came.number == 0:
            ctrl_c.start()
        return error(429, "later", retry_after="600")

    stub.misbehave = later
    ended = write(corpus, out, stub, "--limit", 40, "--concurrency", 4)
    assert ended.code == 130 and "cooling down for 600 s" in ended.err
    assert stub.count <= 4
    assert "stopped: interrupted. The same command goes on from here." in ended.err
    stub.misbehave = None
    assert write(corpus, out, stub, "--limit", 40).code == 0 and len(rows_of(out)) == 40


def test_an_empty_account_stops_the_run_at_once_and_the_next_run_goes_on(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    async def after_ten(came: Received) -> web.Response | None:
        return error(429, "no money", "insufficient_quota") if came.number >= 10 else None

    stub.misbehave = after_ten
    ended = write(corpus, out, stub, "--limit", 40, "--concurrency", 4)
    assert ended.code == 1 and stub.count <= 14
    stopped = [line for line in ended.err.splitlines() if "insufficient_quota" in line]
    assert len(stopped) == 1 and stopped[0].startswith("stopped: the account's quota is used up")
    paid = stub.answered
    stub.misbehave = None
    assert write(corpus, out, stub, "--limit", 40).code == 0
    assert len(rows_of(out)) == 40 and stub.answered == 80
    assert paid == 10


def test_server_errors_are_sent_again(stub: StubServer, corpus: Path, out: Path) -> None:
    stub.misbehave = Failing(lambda _: error(500, "boom"), times=3)
    assert write(corpus, out, stub).code == 0
    assert rows_of(out)[0]["outcome"] == "accepted" and stub.count == 5


def test_an_item_without_a_reply_is_no_row_and_is_sent_by_the_next_run(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    stub.misbehave = Failing(lambda _: error(503, "down"))
    ended = write(corpus, out, stub, "--retries", 2)
    assert ended.code == 1 and stub.count == 3 and rows_of(out) == []
    assert "left for the next run: HTTP 503: down (3 times)" in ended.err
    stub.misbehave = None
    assert write(corpus, out, stub).code == 0 and len(rows_of(out)) == 1


def test_a_time_out_is_sent_again(stub: StubServer, corpus: Path, out: Path) -> None:
    async def hang(_: Received) -> None:
        await asyncio.sleep(2)

    stub.misbehave = Failing(hang, times=1)
    assert write(corpus, out, stub, "--timeout", 0.3).code == 0
    assert rows_of(out)[0]["outcome"] == "accepted" and stub.count == 3


def test_a_dropped_connection_is_sent_again(stub: StubServer, corpus: Path, out: Path) -> None:
    def drop(came: Received) -> web.Response:
        assert came.request.transport is not None
        came.request.transport.abort()
        return web.Response()

    stub.misbehave = Failing(drop, times=1)
    assert write(corpus, out, stub).code == 0
    assert rows_of(out)[0]["outcome"] == "accepted" and stub.count == 3


def test_a_reply_cut_at_the_token_limit_is_asked_for_again_with_the_reason(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    cut = {"role": "assistant", "content": '{"keywords": ["rai'}
    stub.misbehave = Failing(lambda came: reply(came, finish_reason="length", **cut), times=1)
    assert write(corpus, out, stub).code == 0
    row = rows_of(out)[0]
    assert (row["outcome"], row["attempts"], len(row["calls"])) == ("accepted", 2, 3)
    assert "cut off at the token limit" in stub.received[1].text
    out.unlink()
    stub.misbehave = Failing(lambda came: reply(came, finish_reason="length", **cut))
    write(corpus, out, stub, "--attempts", 2)
    assert (rows_of(out)[0]["outcome"], rows_of(out)[0]["attempts"]) == ("unreadable", 2)


def test_a_refusal_is_recorded_and_not_asked_for_again(stub: StubServer, corpus: Path, out: Path) -> None:
    refusal = {"role": "assistant", "content": None, "refusal": "I cannot judge people."}
    stub.misbehave = Failing(lambda came: reply(came, **refusal))
    ended = write(corpus, out, stub)
    assert ended.code == 1 and "no reasoning was written: 1 refused." in ended.err
    row = rows_of(out)[0]
    assert (row["outcome"], row["reasons"], stub.count) == ("refused", ["writer: I cannot judge people."], 1)


def test_a_400_that_declines_the_content_is_a_refusal_too(stub: StubServer, corpus: Path, out: Path) -> None:
    stub.misbehave = Failing(lambda _: error(400, "not this clip", "content_policy_violation"))
    write(corpus, out, stub)
    assert rows_of(out)[0]["outcome"] == "refused"


def test_a_tool_call_with_wrong_fields_is_asked_for_again_with_the_fields_named(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    def wrong(came: Received) -> web.Response:
        fields = reasoning(came.text)
        del fields["pitch"]
        return reply(came, **message_with(came, json.dumps(fields | {"pitsch": "high"})))

    stub.misbehave = Failing(wrong, times=1)
    assert write(corpus, out, stub).code == 0
    assert (rows_of(out)[0]["outcome"], rows_of(out)[0]["attempts"]) == ("accepted", 2)
    assert "pitch: Field required" in stub.received[1].text and "pitsch" in stub.received[1].text


def test_the_breaker_stops_a_run_against_a_dead_server(stub: StubServer, corpus: Path, out: Path) -> None:
    stub.misbehave = Failing(lambda _: error(500, "boom"))
    ended = write(corpus, out, stub, "--limit", 80, "--concurrency", 4)
    assert ended.code == 1 and 20 <= stub.count <= 24
    assert "stopped: 20 calls in a row failed, the last one with: HTTP 500: boom" in ended.err


def test_a_wrong_key_or_model_stops_the_run_without_showing_the_key(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    for status, words in ((401, "does not accept the key"), (404, "does not know the model")):
        stub.misbehave = Failing(lambda _, s=status: error(s, "wrong: sk-test-secret-123456"))
        ended = write(corpus, out, stub, "--limit", 40, "--concurrency", 1)
        assert ended.code == 2 and words in ended.err and "secret" not in ended.err
    assert stub.count == 2


def test_a_server_without_tools_is_asked_by_schema_and_then_in_words(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    def plain_only(came: Received) -> web.Response | None:
        if "tools" in came.body:
            return error(400, "this model does not support tool_choice")
        if "response_format" in came.body:
            return error(400, "response_format json_schema is not supported")
        if came.role == "validator":
            return None
        fenced = f"Here you are:\n```json\n{json.dumps(reasoning(came.text))}\n```"
        return reply(came, role="assistant", content=fenced)

    stub.misbehave = Failing(plain_only)
    assert write(corpus, out, stub).code == 0
    row = rows_of(out)[0]
    assert row["outcome"] == "accepted" and {call["structured"] for call in row["calls"]} == {"text"}
    assert '"required"' in stub.received[2].text


def test_the_structure_that_the_user_chose_is_not_given_up(stub: StubServer, corpus: Path, out: Path) -> None:
    stub.misbehave = Failing(lambda _: error(400, "no tools here"))
    ended = write(corpus, out, stub, "--structured", "tool")
    assert ended.code == 1 and stub.count == 1 and "no tools here" in ended.err


def test_a_model_that_insists_on_sound_validates_with_a_second_of_silence(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    def insist(came: Received) -> web.Response | None:
        return None if came.sounds else error(400, "This model requires audio input or audio output.")

    stub.misbehave = Failing(insist)
    assert write(corpus, out, stub, "--limit", 3, "--concurrency", 1).code == 0
    validations = [came for came in stub.received if came.role == "validator"]
    assert [len(came.sounds) for came in validations] == [0, 1, 1, 1]
    assert len({sound for came in validations for sound in came.sounds}) == 1
    clips = {sound for came in stub.received if came.role == "writer" for sound in came.sounds}
    assert len(clips) == 3 and not clips & set(validations[1].sounds)
