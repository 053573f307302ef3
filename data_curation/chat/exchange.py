"""One question, one reply. Everything that can go wrong between the two is handled here, for all workers alike.

The fate of a call, by the status on the wire or inside the body (`failures.py`):

  429                         everybody cools down for as long as the server says, then it is sent again
  402, insufficient_quota     the run stops at once
  401, 403, 404               the run stops at once: key or model are wrong
  5xx, 408, 409, time-out,    sent again after a growing pause, `retries` times; then the item is left for the
  dropped connection          next run
  200 that holds no reply     the same
  an error with a parameter   asked again without it or with its other name (`lessons.py`)
  the server's content filter a reply: the model's refusal
  another 4xx                 the item is left for the next run

Too many failures trip the breaker and stop the run. Only a reply is paid for. Nobody knows the cost of a call that was
sent and not answered, so it counts at its worst against the cap.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from data_curation.chat.budget import Reservation
from data_curation.chat.client import ChatClient
from data_curation.chat.content import ignores_structure
from data_curation.chat.dialect import Dialect
from data_curation.chat.envelope import envelope
from data_curation.chat.failures import CallError
from data_curation.chat.gate import RunStopped, Slot
from data_curation.chat.lessons import DECLINING, Lesson, learn, without_structure
from data_curation.chat.limits import FREE, Limits, PricedModel, Unsent
from data_curation.chat.parse import DECLINED_CODE, usage_of
from data_curation.questions import Question
from data_curation.records import Call, Role, Usage, now

MAX_PAUSE_S = 30.0
MAX_THROTTLED = 50
"""Most 429 replies to one call, before it is left for the next run."""
THROTTLED_S = 1.0
"""Seconds of the first cool-down after a 429 without a time. It doubles each time, up to `MAX_PAUSE_S`."""
VAIN_TRIES = 3
VAIN_S = 60.0
"""A call is left for the next run after so many 429 replies and seconds in which no other call is answered."""
STOPS = {
    "quota": "the account's quota is used up (insufficient_quota)",
    "credentials": "the server does not accept the key",
    "unknown_model": "the server does not know the model, or the URL is wrong",
}
MAYBE_PAID = ("timeout", "connection")
"""Failures after which the server may have written, and charged for, a reply that did not arrive."""


@dataclass
class Trouble:
    """The failures of one call so far."""

    failures: int = 0
    throttled: int = 0
    vain: int = 0
    """429 replies in a row, between which no other call was answered."""
    waited_s: float = 0.0
    """Seconds of cool-down for these."""
    replies: int = 0
    """Number of replies of the run at the last of them."""


class Exchange:
    """Sends questions and returns calls, within the limits and in each role's dialect."""

    def __init__(
        self,
        client: ChatClient,
        *,
        limits: Limits,
        models: Mapping[Role, PricedModel],
        dialects: Mapping[Role, Dialect],
        announce: Callable[[str], None] = print,
    ) -> None:
        self.limits = limits
        self.models = models
        self.dialects = dict(dialects)
        """The present dialect of each role's server."""
        self._client = client
        self._announce = announce
        self._replies = 0
        self._keeps_structure: set[Dialect] = set()
        """Dialects in which a server has replied with the structure."""
        self._jitter = random.Random()

    async def call(self, question: Question) -> Call:
        """Send a question until it has a reply.

        Raises:
            Unsent: There is no reply after all retries.
            RunStopped: The run is stopped.
        """
        trouble = Trouble()
        while True:
            dialect = self.dialects[question.role]
            worst = (self.models[question.role].prices or FREE).worst(question)
            async with self.limits.budget.reserve(worst.cost_usd) as reservation:
                slot = await self.limits.gate.enter(worst.prompt_tokens + worst.completion_tokens)
                try:
                    return await self._send(question, dialect, reservation=reservation, slot=slot)
                except CallError as error:
                    reservation.paid_usd = self._paid_usd(question, error, reservation)
                    failure = error
            if failure.kind == "declined":
                return self._declined(question, dialect, failure)
            await self._respond_to(failure, trouble, question=question, dialect=dialect)

    async def _send(
        self, question: Question, dialect: Dialect, *, reservation: Reservation, slot: Slot
    ) -> Call:
        started = now()
        reply, request_id = await self._client.send(dialect.body(question, self.models[question.role].name))
        body = envelope(reply) or {}
        self.limits.breaker.succeeded()
        self._replies += 1
        usage = self._usage(question, body, reservation)
        self.limits.gate.correct(slot, usage.prompt_tokens + usage.completion_tokens)
        self._check_structure(reply, question.role, dialect)
        return Call(
            role=question.role,
            attempt=question.attempt,
            reply=reply,
            structured=dialect.structured,
            model=str(body.get("model") or self.models[question.role].name),
            request_id=request_id,
            usage=usage,
            started=started,
            finished=now(),
        )

    def _check_structure(self, reply: str, role: Role, dialect: Dialect) -> None:
        """Learn another structure where a server answers in prose and never kept to this one."""
        if not ignores_structure(reply):
            self._keeps_structure.add(dialect)
        elif dialect not in self._keeps_structure and (lesson := without_structure(dialect)) is not None:
            self._adopt(lesson, role, dialect, "its reply is prose")

    def _paid_usd(self, question: Question, failure: CallError, reservation: Reservation) -> float:
        """Cost of a call without a reply: the worst case where a reply may have been written, else usually 0."""
        if failure.kind in MAYBE_PAID:
            return reservation.worst_usd
        prices = self.models[question.role].prices or FREE
        return 0.0 if failure.usage is None else prices.cost_usd(failure.usage)

    def _usage(self, question: Question, body: Mapping[str, object], reservation: Reservation) -> Usage:
        """Tokens and cost of a reply; its worst case where the server does not count tokens."""
        prices = self.models[question.role].prices or FREE
        usage = usage_of(body)
        usage = (
            prices.worst(question)
            if usage is None
            else usage.model_copy(update={"cost_usd": prices.cost_usd(usage)})
        )
        reservation.paid_usd = usage.cost_usd
        return usage

    def _declined(self, question: Question, dialect: Dialect, failure: CallError) -> Call:
        """The call for a request that the server's content filter stopped. It counts as the model's refusal."""
        prices = self.models[question.role].prices or FREE
        usage = failure.usage or Usage()
        return Call(
            role=question.role,
            attempt=question.attempt,
            reply=json.dumps({"error": {"code": DECLINED_CODE, "message": str(failure)}}),
            structured=dialect.structured,
            model=self.models[question.role].name,
            usage=usage.model_copy(update={"cost_usd": prices.cost_usd(usage)}),
            started=now(),
            finished=now(),
        )

    async def _respond_to(
        self, failure: CallError, trouble: Trouble, *, question: Question, dialect: Dialect
    ) -> None:
        """Handle a failure, and return when the call may be sent again.

        Raises:
            Unsent: The call is left for the next run.
            RunStopped: The run is stopped.
        """
        if self._learn(failure, question, dialect):
            return
        if failure.kind in STOPS:
            code = 1 if failure.kind == "quota" else 2
            self._stop(f"{STOPS[failure.kind]}: {failure}", code)
        if failure.kind == "throttled":
            self._throttle(failure, trouble)
            return
        trouble.failures += 1
        self._count(failure)
        if failure.kind == "invalid":
            raise Unsent(str(failure))
        if trouble.failures > self.limits.retries:
            raise Unsent(f"{failure} ({trouble.failures} times)")
        pause_s = min(MAX_PAUSE_S, self.limits.pause_s * 2 ** (trouble.failures - 1))
        await self.limits.gate.pause(max(failure.wait_s or 0.0, pause_s * (1 - self._jitter.random() / 4)))

    def _throttle(self, failure: CallError, trouble: Trouble) -> None:
        trouble.throttled += 1
        if self._replies != trouble.replies:
            trouble.replies, trouble.vain, trouble.waited_s = self._replies, 0, 0.0
        in_vain = trouble.vain >= VAIN_TRIES and trouble.waited_s >= VAIN_S
        if in_vain or trouble.throttled > MAX_THROTTLED:
            self._count(failure)
            raise Unsent(f"{failure} ({trouble.throttled} times)")
        own_s = min(MAX_PAUSE_S, THROTTLED_S * 2**trouble.vain)
        seconds = own_s if failure.wait_s is None else failure.wait_s
        trouble.vain, trouble.waited_s = trouble.vain + 1, trouble.waited_s + seconds
        self.limits.gate.cool_down(seconds, str(failure))

    def _learn(self, failure: CallError, question: Question, dialect: Dialect) -> bool:
        """Whether the failure taught another dialect, so that the call is sent again."""
        if self.dialects[question.role] != dialect:
            return failure.kind in DECLINING  # another worker has learnt a lesson meanwhile
        lesson = learn(failure, question, dialect, answered=dialect in self._keeps_structure)
        if lesson is not None:
            self._adopt(lesson, question.role, dialect, str(failure))
        return lesson is not None

    def _adopt(self, lesson: Lesson, role: Role, dialect: Dialect, why: str) -> None:
        """Use the new dialect from now on. A model has one dialect, and a server has one name for its limit."""
        if self.dialects[role] != dialect:
            return
        for other, spoken in self.dialects.items():
            if spoken == dialect and self.models[other].name == self.models[role].name:
                self.dialects[other] = lesson.dialect
            elif spoken.limit == dialect.limit:
                self.dialects[other] = replace(spoken, limit=lesson.dialect.limit)
        self._announce(f"the server declines {lesson.note} from now on ({why})")

    def _count(self, failure: CallError) -> None:
        if (reason := self.limits.breaker.failed()) is not None:
            self._stop(f"{reason}, the last one with: {failure}", 1)

    def _stop(self, reason: str, exit_code: int) -> None:
        stop = RunStopped(reason, exit_code=exit_code)
        self.limits.gate.stop(stop)
        raise stop
