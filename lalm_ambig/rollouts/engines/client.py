"""Questions to servers, asked again while a server is away or its answer must not be used."""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.remote.server import GOES_ON, Refused, Server, Unavailable, patiently
from lalm_ambig.rollouts.engines.adapters import load
from lalm_ambig.rollouts.engines.at_once import Running
from lalm_ambig.rollouts.engines.completions import Completion, Faulty, completions
from lalm_ambig.rollouts.engines.replay import Replay
from lalm_ambig.rollouts.generate import Request, Response

T = TypeVar("T")
TRIES = 3
"""How often an answer that must not be used is asked for again."""
TELL_AFTER_S = 30.0
"""Seconds without a response after which progress is told."""
NOTHING = Completion([], [])
"""What is written within 0 tokens."""


@dataclass(frozen=True)
class Question:
    """What a server is asked about one item."""

    item: str
    """Its id."""
    server: Server
    body: dict[str, Any]
    """Of the request."""

    @property
    def limit(self) -> int:
        """Longest response in tokens."""
        return int(self.body["max_tokens"])

    @property
    def count(self) -> int:
        """Responses that are asked for."""
        return int(self.body["n"])


class Client:
    """Asks servers for responses."""

    def __init__(self, *, patience_s: float, requests: int) -> None:
        """Args:
        patience_s: Seconds for which a server that is paused, busy or being started is asked again.
        requests: Questions at a time.
        """
        self.patience_s, self.requests = patience_s, requests
        self.lock = threading.Lock()
        """For the tokenizer, which takes one thread at a time."""
        self.adapter: Path | None = None
        """Folder of the adapter that is sampled with; a server that was started anew is given it again."""

    def use(self, adapter: Path | None) -> None:
        """Take note of the adapter that is sampled with; None where there is none any more."""
        self.adapter = adapter

    def call(self, server: Server, attempt: Callable[[], T], *, patience_s: float | None = None) -> T:
        """The result of an attempt; what the server refuses becomes a mistake in one line."""
        patience_s = self.patience_s if patience_s is None else patience_s
        try:
            return patiently(attempt, patience_s=patience_s, where=server.url)
        except Refused as error:
            raise InputError(f"it refuses: {error}.", where=server.url, remedy=_remedy(error)) from error

    def begun(self, questions: Sequence[Question]) -> Running[Any]:
        """The JSON that answers each question, unread, as it comes in threads of its own."""
        return Running([partial(self._reply, one.server, one.body) for one in questions], most=self.requests)

    def completed(self, replies: Running[T]) -> list[T]:
        """All of them, waited for; now and then it is told how many have come."""
        return replies.wait(every_s=TELL_AFTER_S, tell=partial(_tell, of=replies.count))

    def answers(
        self,
        policy: Policy,
        request: Request,
        questions: Sequence[Question],
        replies: Mapping[int, Any] | None = None,
    ) -> list[Sequence[Response]]:
        """The responses to each question.

        Args:
            policy: The policy, for its tokens.
            request: Number and ends of the responses.
            questions: What is asked.
            replies: First replies that have come already, by the question's number.

        Raises:
            InputError: A server fails, or answers with what must not be used.
        """
        replay, replies = Replay(policy, request), replies or {}
        jobs = [
            partial(self._responses, question, policy, replay, replies.get(number))
            for number, question in enumerate(questions)
        ]
        return self.completed(Running(jobs, most=self.requests))

    def _responses(
        self, question: Question, policy: Policy, replay: Replay, reply: Any
    ) -> Sequence[Response]:
        """The responses to one prompt."""
        for attempt in range(1, TRIES + 1):
            given = [NOTHING] * question.count
            if question.limit:
                given = self.completions(question.server, policy, question.body, reply)
            if (rows := self._read(given, replay, question)) is not None:
                return rows
            self._tell_fault(question.server, "a response breaks off before its end", attempt)
            reply = None
        raise AssertionError

    def _read(self, given: Sequence[Completion], replay: Replay, question: Question) -> list[Response] | None:
        with self.lock:
            rows = [replay.response(one.ids, one.log_probs, limit=question.limit) for one in given]
        complete = [row for row in rows if row is not None]
        return complete if len(complete) == len(rows) else None

    def read_once(
        self, policy: Policy, request: Request, question: Question, reply: Any
    ) -> list[Response] | None:
        """The responses of a reply; None where it must not be used. Nothing is asked."""
        try:
            given = completions(policy, reply, model=question.body["model"], count=question.count)
        except Faulty:
            return None
        return self._read(given, Replay(policy, request), question)

    def completions(
        self, server: Server, policy: Policy, body: dict[str, Any], reply: Any = None
    ) -> list[Completion]:
        """A server's completions, asked for again where they must not be used.

        Args:
            server: The server.
            policy: The policy, whose tokens they must be.
            body: Of the request.
            reply: The first reply, where it has come already.

        Raises:
            InputError: The server fails, or answers with what must not be used.
        """
        for attempt in range(1, TRIES + 1):
            if reply is None or attempt > 1:
                reply = self._reply(server, body)
            try:
                with self.lock:
                    return completions(policy, reply, model=body["model"], count=body["n"])
            except Faulty as fault:
                self._tell_fault(server, str(fault), attempt)
        raise AssertionError

    def _reply(self, server: Server, body: dict[str, Any]) -> Any:
        return self.call(server, lambda: self._post(server, body))

    def _post(self, server: Server, body: dict[str, Any]) -> Any:
        """Ask once. A server that has forgotten the adapter, since it was started anew, is given it again."""
        try:
            return server.post("/v1/completions", body)
        except Refused as error:
            if error.status != 404 or self.adapter is None or body["model"] != self.adapter.name:
                raise
            print(f"{server.url} has been started anew: it is given the adapter again", file=sys.stderr)
            load(server, self.adapter)
            raise Unavailable("it has been started anew") from error

    def _tell_fault(self, server: Server, fault: str, attempt: int) -> None:
        if attempt == TRIES:
            raise InputError(f"{fault}, {TRIES} times.", where=server.url, remedy=GOES_ON)
        print(f"{server.url}: {fault}; asked again", file=sys.stderr)


def _tell(count: int, *, of: int) -> None:
    print(f"sampling: {count} of {of} prompts", file=sys.stderr)


def _remedy(error: Refused) -> str:
    """What to do about a refusal, where it is known."""
    known = (
        ("prompt_embeds", "Items have sound: start it with --enable-prompt-embeds."),
        ("rank", "Start it with a larger --max-lora-rank."),
        (
            "maximum context",
            "Start it with a larger --max-model-len, or lower model.sampling.max_new_tokens.",
        ),
    )
    if error.status in (404, 405):
        return "Start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and --enable-lora."
    return next((remedy for part, remedy in known if part in error.message), "See docs/guides/engines.md.")
