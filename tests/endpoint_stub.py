"""A Chat Completions server in a thread, which answers as it is told and fails on demand.

As a language model it is a table: what it writes, and the probability of each next token. Its tokens are words and
marks, each with the blank before it.
"""

import json
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECES = re.compile(r" ?<| ?\w+|[^\w\s]|\s")
Written = Callable[[Mapping[str, Any]], str]
Fault = tuple[int, dict[str, str], str]
"""Status, headers and body of a failed call. Status 0 drops the connection, 1 answers after a second."""


def pieces(text: str) -> list[str]:
    return PIECES.findall(text)


def next_token(token: str, probabilities: Mapping[str, float]) -> dict[str, Any]:
    """A position as servers list it."""
    top = [
        {"token": text, "logprob": math.log(p), "bytes": list(text.encode())}
        for text, p in probabilities.items()
    ]
    top.sort(key=lambda entry: -entry["logprob"])
    own = probabilities.get(token, 1.0)
    return {"token": token, "logprob": math.log(own), "bytes": list(token.encode()), "top_logprobs": top}


@dataclass
class EndpointStub:
    """The server; use it as a context."""

    write: Written = lambda _: '{"entailment": 0.5, "neutral": 0.3, "contradiction": 0.2}'
    """The text of a reply to a body."""
    answer: Mapping[str, float] = field(default_factory=lambda: {"neutral": 0.9, "entailment": 0.0996})
    """Probability of each token right after `<answer>`."""
    logprobs: bool = True
    continues: bool = False
    """Whether it goes on from a last message of the assistant."""
    scores: Mapping[str, float] | None = None
    """Probability of each name as a prompt's token; None is a server that scores no prompts."""
    usage: bool = True
    latency_s: float = 0.0
    key: str | None = None
    refuses: str | None = None
    """A field of the body that is refused with 400."""
    faults: deque[Fault] = field(default_factory=deque)
    """Of the next calls, one each."""
    fails_after: int | None = None
    """Number of calls after which all fail."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_once: int = 0
    most_at_once: int = 0

    def __enter__(self) -> "EndpointStub":
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.reply(200, {"data": [{"id": "right-model"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with stub.lock:
                    stub.at_once += 1
                    stub.most_at_once = max(stub.most_at_once, stub.at_once)
                    status, headers, content = stub.take(self.path, body, dict(self.headers))
                if status == 1:
                    time.sleep(1)
                    status = 200
                time.sleep(stub.latency_s)
                with stub.lock:
                    stub.at_once -= 1
                if status == 0:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.reply(status, content, headers)

            def reply(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
                data = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    @property
    def chats(self) -> list[dict[str, Any]]:
        return [body for path, body in self.asked if path == "/v1/chat/completions"]

    def take(
        self, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        if self.key is not None and headers.get("Authorization") != f"Bearer {self.key}":
            return 401, {}, {"error": {"message": f"wrong key {headers.get('Authorization')}"}}
        if path == "/tokenize" and self.scores is None:
            return 404, {}, {"detail": "Not Found"}
        self.asked.append((path, body))
        self.headers.append(headers)
        if self.faults:
            status, more, content = self.faults.popleft()
            if status != 1:
                return status, more, content
            return 1, {}, self.reply_to(path, body)
        if self.fails_after is not None and len(self.asked) > self.fails_after:
            return 500, {}, {"error": {"message": "broken"}}
        if body["model"] != "right-model":
            return 404, {}, {"error": {"message": f"The model `{body['model']}` does not exist"}}
        if self.refuses in body:
            hint = " Use 'max_completion_tokens' instead." if self.refuses == "max_tokens" else ""
            return 400, {}, {"error": {"message": f"Unsupported parameter: '{self.refuses}'.{hint}"}}
        return 200, {}, self.reply_to(path, body)

    def reply_to(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/tokenize":
            return {"tokens": self.tokens(self.rendered(body) if "messages" in body else body["prompt"])}
        return self.completion(body) if path == "/v1/completions" else self.chat(body)

    def rendered(self, body: dict[str, Any]) -> str:
        return "".join(f"\n{turn['role']}\n{turn['content']}" for turn in body["messages"]) + "\nassistant\n"

    def tokens(self, text: str) -> list[int]:
        return [self.ids.setdefault(piece, len(self.ids)) for piece in pieces(text)]

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        last = body["messages"][-1]
        goes_on = self.continues and last["role"] == "assistant"
        words = len(json.dumps(body["messages"][:1]).split()) + 4
        if last["role"] == "assistant":
            words += len(pieces(last["content"])) + (0 if goes_on else 4)
        text = max(self.answer, key=lambda token: self.answer[token]) if goes_on else self.write(body)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"content": text}}
        if body.get("logprobs") and self.logprobs:
            positions = [next_token(piece, {piece: 0.9999}) for piece in pieces(text)]
            before = "<answer>" if not goes_on else ""
            at = len(pieces(text.partition(before)[0] + before)) if before else 0
            if at < len(positions) and (goes_on or before in text):
                positions[at] = next_token(positions[at]["token"], self.answer)
            choice["logprobs"] = {"content": positions}
        reply = {"model": body["model"], "choices": [choice]}
        if self.usage:
            reply["usage"] = {"prompt_tokens": words, "completion_tokens": len(pieces(text))}
        return reply

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        texts = {number: piece for piece, number in self.ids.items()}
        prompts = body["prompt"] if isinstance(body["prompt"][0], list) else [body["prompt"]]
        choices = []
        for index, prompt in enumerate(prompts):
            entries: list[Any] = [None]
            for token in prompt[1:]:
                chance = (self.scores or {}).get(texts[token], 0.5)
                entries.append({str(token): {"logprob": math.log(chance), "rank": 1}})
            choice = {"index": index, "text": self.write(body), "finish_reason": "stop"}
            if "prompt_logprobs" in body:
                choice["prompt_logprobs"] = entries
            choices.append(choice)
        total = sum(map(len, prompts))
        return {"choices": choices, "usage": {"prompt_tokens": total, "completion_tokens": len(prompts)}}
