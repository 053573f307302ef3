"""The body of a response counts more than its status: errors inside a 200, and bodies without a reply."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from small_corpus import Finished, make_corpus, rows_of, run_main, write_arguments
from stub_server import Received, StubServer, good_message, reply

from data_curation.chat.budget import Budget
from data_curation.chat.client import ChatClient
from data_curation.chat.error_bodies import server_error_in
from data_curation.chat.exchange import Exchange, Trouble
from data_curation.chat.failures import CallError, failure_of, wait_s
from data_curation.chat.gate import Gate
from data_curation.chat.limits import Breaker, Limits, Unsent

HTML = "<!DOCTYPE html><html><head><title>{}</title></head><body>…</body></html>"


def cut(body: dict[str, Any], finish: str | None = None, **choice: Any) -> dict[str, Any]:
    return body | {"choices": [{"index": 0, "finish_reason": finish, **choice}]}


BODIES: dict[str, tuple[object, str]] = {
    "number": ({"error": {"message": "Rate limit exceeded", "code": 429}}, "throttled"),
    "number as text": ({"error": {"message": "no", "code": "429"}}, "throttled"),
    "code in words": ({"error": {"message": "no", "code": "rate_limit_exceeded"}}, "throttled"),
    "type in words": ({"type": "error", "error": {"type": "rate_limit_error", "message": "no"}}, "throttled"),
    "error as text": ({"error": "Too Many Requests"}, "throttled"),
    "list around it": (
        [{"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}}],
        "throttled",
    ),
    "beside a choice": (
        cut({"error": {"code": 429, "message": "no"}}, message={"content": "{}"}),
        "throttled",
    ),
    "under a choice": (
        cut({}, "error", error={"code": 502, "message": "died"}, message={"content": ""}),
        "server",
    ),
    "object": (
        {"object": "error", "message": "overloaded", "type": "InternalServerError", "code": 500},
        "server",
    ),
    "detail": ({"detail": "Not authenticated"}, "credentials"),
    "details": ({"detail": [{"type": "missing", "loc": ["body", "x"], "msg": "Field required"}]}, "invalid"),
    "message in parts": (
        {"object": "error", "message": {"detail": [{"msg": "Extra inputs", "loc": ["x"]}]}},
        "invalid",
    ),
    "errors": (
        {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]},
        "credentials",
    ),
    "base_resp": (
        {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None},
        "throttled",
    ),
    "error_msg": ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, "throttled"),
    "only a message": ({"message": "Unauthorized"}, "credentials"),
    "number in words": ({"error": {"message": "Error code: 503 - upstream"}}, "server"),
    "no money": ({"error": {"message": "Payment", "code": 402}}, "quota"),
    "no money in words": ({"error": {"message": "no", "type": "insufficient_quota", "code": 429}}, "quota"),
    "no model": ({"error": {"message": "model 'x' not found, try pulling it first"}}, "unknown_model"),
    "mistake": ({"error": {"message": "messages: odd", "code": 400}}, "invalid"),
    "declined": ({"error": {"message": "no", "code": "content_filter"}}, "declined"),
    "flagged": ({"error": {"message": "your input was flagged", "code": 403}}, "declined"),
    "no choice": ({"choices": []}, "server"),
    "null choices": ({"choices": None, "usage": {"prompt_tokens": 5}}, "server"),
    "null message": (cut({}, "stop", message=None), "server"),
    "broken off": (cut({}, "error", message={"content": "{"}), "server"),
    "nothing": ({}, "server"),
    "unknown": ({"error": {"message": "hm"}}, "server"),
    "empty": ("", "server"),
    "blank": (" \n", "server"),
    "broken JSON": ("{not json", "server"),
    "truncated": ('{"choices": [{"message": {"content": "{', "server"),
    "text": ("upstream connect error", "server"),
    "HTML": (HTML.format("502 Bad Gateway"), "server"),
    "HTML of a login": (HTML.format("Welcome"), "server"),
    "HTML of a limit": (HTML.format("429 Too Many Requests"), "throttled"),
    "HTML of a wrong URL": (HTML.format("404 Not Found"), "unknown_model"),
    "error in a stream": ('data: {"error": {"code": 429, "message": "no"}}\n\ndata: [DONE]\n', "throttled"),
    "error event": ('event: error\ndata: {"message": "overloaded", "code": 503}\n\n', "server"),
    "broken stream": ('data: {"choices": [{"delta": {"content": "{"}}]}\n\n', "server"),
}
REPLIES: dict[str, object] = {
    "plain": cut({}, "stop", message={"content": "{}"}),
    "null error": cut({"error": None}, "stop", message={"content": "{}"}),
    "error of success": cut({"error": {"code": 0, "message": ""}}, "stop", message={"content": "{}"}),
    "base_resp of success": cut(
        {"base_resp": {"status_code": 0, "status_msg": "success"}}, message={"content": "{}"}
    ),
    "filtered": cut({}, "content_filter", message=None),
    "cut": cut({}, "length", message={"content": "{"}),
    "text": cut({}, "stop", text="{}"),
    "stream": 'data: {"choices": [{"delta": {"content": "{}"}, "finish_reason": "stop"}]}\n\n',
}


def text_of(body: object) -> str:
    return body if isinstance(body, str) else json.dumps(body)


@pytest.mark.parametrize(("body", "kind"), BODIES.values(), ids=BODIES)
def test_the_body_of_a_200_says_what_went_wrong(body: object, kind: str) -> None:
    failure = failure_of(200, text_of(body), {}, clean=str)
    assert failure is not None and failure.kind == kind


@pytest.mark.parametrize("body", REPLIES.values(), ids=REPLIES)
def test_a_reply_is_no_error(body: object) -> None:
    assert server_error_in(text_of(body)) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, {"error": {"code": 429, "message": "slow down"}}, "throttled"),
        (400, {"error": {"code": "invalid_api_key", "message": "no"}}, "credentials"),
        (
            400,
            {"error": {"code": 400, "message": "API key not valid. Please pass a valid one."}},
            "credentials",
        ),
        (401, {"error": {"type": "invalid_request_error", "message": "no"}}, "credentials"),
        (503, {"detail": "overloaded"}, "server"),
        (307, "", "unknown_model"),
        (429, "slow", "throttled"),
        (403, HTML.format("Forbidden"), "credentials"),
    ],
)
def test_a_status_holds_where_the_body_says_nothing_else(status: int, body: object, kind: str) -> None:
    failure = failure_of(status, text_of(body), {}, clean=str)
    assert failure is not None and failure.kind == kind


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, {"error": {"retry_after": 3}}, 7.0),
        ({"retry-after": "inf"}, {"error": {"message": "retry after 30 seconds"}}, 30.0),
        ({}, {"error": {"metadata": {"headers": {"Retry-After": "12"}}}}, 12.0),
        ({}, [{"error": {"details": [{"retryDelay": "36s"}]}}], 36.0),
        ({}, {"error": {"message": "Please try again in 6m0s."}}, 360.0),
        ({}, {"error": {"message": "Please try again in 350ms"}}, 0.35),
        ({}, {"error": {"message": "Please try again later"}}, None),
    ],
)
def test_a_server_says_how_long_to_wait_in_many_places(
    headers: dict[str, str], body: Any, seconds: float
) -> None:
    message = str(body["error"].get("message", "") if isinstance(body, dict) else "")
    parsed = body if isinstance(body, dict) else body[0]
    assert wait_s(headers, parsed, message) == (None if seconds is None else pytest.approx(seconds))


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
    arguments = write_arguments(corpus, out, stub.url)
    return run_main(*arguments, "--limit", 3, "--retry-pause", 0.01, "--retries", 1, *more)


def answering(stub: StubServer, body: object, times: int | None = None, **headers: str) -> None:
    async def answer(came: Received) -> web.StreamResponse | None:
        if times is not None and came.number >= times:
            return None
        return web.Response(text=text_of(body), headers={k.replace("_", "-"): v for k, v in headers.items()})

    stub.misbehave = answer


@pytest.mark.parametrize("name", ["number as text", "object", "null choices", "truncated", "HTML", "empty"])
def test_what_passes_is_sent_again_by_its_rule(stub: StubServer, corpus: Path, out: Path, name: str) -> None:
    answering(stub, BODIES[name][0], times=1, retry_after="0")
    assert write(corpus, out, stub, "--concurrency", 1).code == 0
    assert [row["outcome"] for row in rows_of(out)] == ["accepted"] * 3 and stub.count == 7


@pytest.mark.parametrize(
    "name", ["object", "no choice", "null message", "truncated", "HTML", "broken stream"]
)
def test_what_does_not_pass_is_left_for_the_next_run_and_costs_nothing(
    stub: StubServer, corpus: Path, out: Path, name: str
) -> None:
    answering(stub, BODIES[name][0])
    ended = write(corpus, out, stub)
    assert ended.code == 1 and rows_of(out) == [] and stub.count == 6
    assert "$0.0000" in ended.out and "3 items had no reply" in ended.err
    stub.misbehave = None
    assert write(corpus, out, stub).code == 0 and len(rows_of(out)) == 3


def test_tokens_that_a_server_counted_without_a_reply_are_paid(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    answering(stub, {"choices": [], "usage": {"prompt_tokens": 100_000, "completion_tokens": 0}})
    ended = write(corpus, out, stub, "--limit", 1, "--retries", 0)
    assert ended.code == 1 and "$0.2500" in ended.out


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("detail", 2, "does not accept the key"),
        ("no model", 2, "does not know the model"),
        ("HTML of a wrong URL", 2, "the URL is wrong"),
        ("no money", 1, "quota is used up"),
    ],
)
def test_what_no_item_can_get_past_stops_the_run_with_one_line(
    stub: StubServer, corpus: Path, out: Path, name: str, code: int, words: str
) -> None:
    answering(stub, BODIES[name][0])
    ended = write(corpus, out, stub, "--concurrency", 1)
    assert ended.code == code and stub.count == 1 and words in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_a_mistake_inside_a_200_is_not_sent_again(stub: StubServer, corpus: Path, out: Path) -> None:
    answering(stub, BODIES["mistake"][0])
    ended = write(corpus, out, stub)
    assert ended.code == 1 and stub.count == 3 and rows_of(out) == []
    assert "HTTP 400 inside a 200: messages: odd" in ended.err


def test_a_limit_that_nothing_gets_past_is_given_up_in_the_end(
    stub: StubServer, corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_curation.chat.exchange.VAIN_S", 0.2)
    answering(stub, BODIES["number"][0], retry_after_ms="80")
    ended = write(corpus, out, stub)
    assert ended.code == 1 and rows_of(out) == [] and stub.count == 12 and "$0.0000" in ended.out
    assert "cooling down for 0.08 s" in ended.err or "429 inside a 200" in ended.err


def test_a_limit_is_borne_as_long_as_other_calls_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_curation.chat.exchange.VAIN_S", 0.0)
    limits = Limits(Gate(announce=lambda _: None), Budget(None), Breaker(concurrency=1))
    client = ChatClient("http://localhost:1/v1", api_key=None, timeout_s=1.0, concurrency=1)
    exchange = Exchange(client, limits=limits, models={}, dialects={})
    failure, trouble = CallError("throttled", "slow down", wait_s=0.0), Trouble()
    for _ in range(3):
        exchange._throttle(failure, trouble)
    exchange._replies += 1
    for _ in range(3):
        exchange._throttle(failure, trouble)
    with pytest.raises(Unsent, match=r"slow down \(7 times\)"):
        exchange._throttle(failure, trouble)


def test_a_stream_that_nobody_asked_for_is_read(stub: StubServer, corpus: Path, out: Path) -> None:
    async def streamed(came: Received) -> web.Response:
        parsed = json.loads(reply(came).text or "")
        function = good_message(came)["tool_calls"][0]["function"]
        pieces = [{"index": 0, "id": "a", "function": {"name": function["name"], "arguments": ""}}]
        half = len(function["arguments"]) // 2
        pieces += [{"index": 0, "function": {"arguments": function["arguments"][:half]}}]
        pieces += [{"index": 0, "function": {"arguments": function["arguments"][half:]}}]
        chunks: list[Any] = [
            {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]} for piece in pieces
        ]
        chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}]
        chunks += [{"choices": [], "usage": parsed["usage"], "model": "m-1"}]
        lines = [": PROCESSING", *(f"data: {json.dumps(chunk)}" for chunk in chunks), "data: [DONE]"]
        return web.Response(text="\n\n".join(lines) + "\n\n", content_type="text/event-stream")

    stub.misbehave = streamed
    assert write(corpus, out, stub).code == 0
    row = rows_of(out)[0]
    assert row["outcome"] == "accepted" and row["usage"]["prompt_tokens"] == 1800
    assert row["calls"][0]["model"] == "m-1"


def test_a_server_that_is_not_there_costs_nothing(corpus: Path, out: Path) -> None:
    with StubServer() as gone:
        url = gone.url
    ended = run_main(*write_arguments(corpus, out, url), "--limit", 2, "--retries", 0, "--retry-pause", 0.01)
    assert ended.code == 1 and "$0.0000" in ended.out and "no connection" in ended.err


@pytest.mark.parametrize("writer", ["openai", "acoustic"])
def test_a_run_that_writes_nothing_does_not_end_well(
    stub: StubServer, tmp_path: Path, out: Path, writer: str
) -> None:
    broken = make_corpus(tmp_path / "broken", 3)
    for clip in (broken / "AudioWAV").iterdir():
        clip.write_bytes(b"RIFF, and nothing more")
    arguments = ["write", "--corpus", "crema_d", "--root", broken, "--writer", writer, "--out", out]
    ended = run_main(*arguments, "--base-url", stub.url)
    assert ended.code == 1 and rows_of(out) == [] and stub.count == 0
    assert ended.err.splitlines()[-1] == "no reasoning was written: 3 unusable."
