"""A Chat Completions server that writes and validates like a good model, and fails on demand.

In a test: `with StubServer() as stub`, then set `stub.misbehave`. As a program it prints its port and serves
until it is ended; GET /counts tells how many requests came.
"""

import asyncio
import json
import re
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

LEVELS = [
    "absent",
    "hinted",
    "faint",
    "slight",
    "modest",
    "middling",
    "solid",
    "strong",
    "heavy",
    "dominant",
    "overwhelming",
]
"""A word for each tenth: how the stub's writer tells its validator the weight of a class without a number."""
PARAGRAPH = "The words alone could be said in several moods and leave the matter open to the listener."
Misbehaviour = Callable[["Received"], Awaitable[web.StreamResponse | None]]


@dataclass(frozen=True)
class Received:
    """A request as it came, and how many came before it."""

    number: int
    body: dict[str, Any]
    headers: dict[str, str]
    request: web.Request

    @property
    def role(self) -> str:
        return "validator" if "You read an analysis" in self.body["messages"][0]["content"] else "writer"

    @property
    def text(self) -> str:
        content = self.body["messages"][1]["content"]
        return content if isinstance(content, str) else content[0]["text"]

    @property
    def sounds(self) -> list[str]:
        content = self.body["messages"][1]["content"]
        parts = [] if isinstance(content, str) else content
        return [part["input_audio"]["data"] for part in parts if part["type"] == "input_audio"]


@dataclass
class StubServer:
    """Serves in a thread of its own."""

    latency_s: float = 0.0
    keep: bool = True
    """Store the request, for the test to look at."""
    misbehave: Misbehaviour | None = None
    received: list[Received] = field(default_factory=list)
    count: int = 0
    answered: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _serve(self, started: threading.Event) -> None:
        asyncio.run(self.serve(started.set))

    async def serve(self, on_ready: Callable[[], object], port: int = 0) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_get("/counts", self._counts)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.port: int = runner.addresses[0][1]
        on_ready()
        await self._ended.wait()
        await runner.cleanup()

    async def _counts(self, _: web.Request) -> web.Response:
        return web.json_response({"count": self.count, "answered": self.answered})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        came = Received(self.count, body, dict(request.headers), request)
        self.count += 1
        if self.keep:
            self.received.append(came)
        if self.misbehave is not None and (other := await self.misbehave(came)) is not None:
            return other
        await asyncio.sleep(self.latency_s)
        self.answered += 1
        return reply(came, self.answered)


def reply(came: Received, number: int = 0, **message: Any) -> web.Response:
    """A good reply, or one with another message or finish_reason."""
    finish = message.pop("finish_reason", "stop")
    body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1,
        "model": f"{came.body['model']}-2026-01-01",
        "choices": [{"index": 0, "finish_reason": finish, "message": message or good_message(came)}],
        "usage": {
            "prompt_tokens": 900,
            "completion_tokens": 300,
            "total_tokens": 1200,
            "prompt_tokens_details": {"audio_tokens": 30 if came.sounds else 0, "cached_tokens": 0},
        },
    }
    return web.json_response(body, headers={"x-request-id": f"req_{number}"})


def good_message(came: Received) -> dict[str, Any]:
    fields = distribution(came.text) if came.role == "validator" else reasoning(came.text)
    return message_with(came, json.dumps(fields))


def message_with(came: Received, arguments: str) -> dict[str, Any]:
    """The message that carries these fields in the way that was asked for."""
    if "tools" not in came.body:
        return {"role": "assistant", "content": arguments}
    name = came.body["tools"][0]["function"]["name"]
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def reasoning(text: str) -> dict[str, Any]:
    """A reasoning that keeps the rules and supports the distribution of the prompt."""
    division = re.search(r"How the listeners divided[^:]*: (.*)", text)
    assert division is not None
    shares = dict(re.findall(r"(\w+) (\d+)%", division.group(1)))
    weights = " ".join(f"{name} is {LEVELS[round(int(share) / 10)]};" for name, share in shares.items())
    return {
        "keywords": ["raised effort", "falling contour"],
        "text_analysis": PARAGRAPH,
        "volume": "The voice is of middling loudness and fades towards the end.",
        "speed": "The pace is even, with a short pause before the last word.",
        "pitch": "The pitch starts high and falls in a narrow range.",
        "tone": "The voice quality is tense and slightly breathy.",
        "class_cues": [{"category": n, "cue": "The tense onset of the phrase supports it."} for n in shares],
        "synthesis": f"On balance the evidence weighs as follows: {weights} the rest is absent.",
    }


def distribution(text: str) -> dict[str, float]:
    """The distribution that the weights in an analysis give."""
    classes = re.search(r"Classes: (.*)", text)
    assert classes is not None
    levels = dict(re.findall(rf"(\w+) is ({'|'.join(LEVELS)})", text))
    return {n: LEVELS.index(levels.get(n, "absent")) / 10 + 1e-6 for n in classes.group(1).split(", ")}


def error(status: int, message: str, code: str | None = None, **headers: str) -> web.Response:
    """An error in the API's form; header names with _ for -."""
    body = {"error": {"message": message, "type": code, "code": code, "param": None}}
    return web.json_response(
        body, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


if __name__ == "__main__":
    server = StubServer(latency_s=float(sys.argv[1]), keep=False)
    asyncio.run(server.serve(lambda: print(server.port, flush=True)))
