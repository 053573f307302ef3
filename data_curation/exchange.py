"""One question, one reply: everything that can go wrong between them is met here, for all workers alike.

What happens to a call:
  429                         everybody cools down for as long as the server says, then it is sent again
  insufficient_quota          the run stops at once
  401, 403, 404               the run stops at once: key or model are wrong
  5xx, 408, 409, time-out,    sent again after a growing pause, `retries` times; then the item is left for the
  dropped connection          next run
  200 that is no reply        the same, counted at its worst cost; in the end kept and judged unreadable
  400 that names a feature    asked again in another dialect
  another 4xx                 the item is left for the next run
Too many failures trip the breaker and stop the run.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from data_curation.budget import Reservation
from data_curation.client import CallError, ChatClient
from data_curation.clock import now
from data_curation.dialect import Dialect
from data_curation.gate import RunStopped, Slot
from data_curation.limits import FREE, Limits, Model, Unsent
from data_curation.parse import DECLINED_CODES, envelope, usage_of
from data_curation.records import Call, Role, Usage
from data_curation.request import Ask

MAX_PAUSE_S = 30.0
MAX_THROTTLED = 50
"""429 replies to one call before it is left for the next run."""
THROTTLED_S = 1.0
"""First cool-down after a 429 that names no time; doubled each time, up to MAX_PAUSE_S."""
KEPT_BROKEN = 4000
"""Characters of a body that is no reply which are kept."""
STOPS = {
    "quota": "the account's quota is used up (insufficient_quota)",
    "credentials": "the server does not accept the key",
    "unknown_model": "the server does not know the model, or the URL is wrong",
}


@dataclass
class Trouble:
    """What a call has met so far."""

    failures: int = 0
    throttled: int = 0


class Exchange:
    """Questions in, calls out."""

    def __init__(
        self,
        client: ChatClient,
        *,
        limits: Limits,
        models: Mapping[Role, Model],
        dialects: Mapping[Role, Dialect],
    ) -> None:
        self.limits = limits
        self.models = models
        self.dialects = dict(dialects)
        """What each role's server was found to accept so far."""
        self._client = client
        self._jitter = random.Random()

    async def call(self, ask: Ask) -> Call:
        """The reply to a question, paid and whole. Unsent or RunStopped where there is none."""
        trouble = Trouble()
        while True:
            dialect = self.dialects[ask.role]
            worst = (self.models[ask.role].prices or FREE).worst(ask)
            async with self.limits.budget.reserve(worst.cost_usd) as held:
                slot = await self.limits.gate.enter(worst.prompt_tokens + worst.completion_tokens)
                try:
                    call = await self._send(ask, dialect, held=held, slot=slot)
                except CallError as error:
                    held.paid_usd = held.worst_usd if error.kind in ("timeout", "connection") else 0.0
                    failure = error
                else:
                    if envelope(call.reply) is not None or trouble.failures >= self.limits.retries:
                        return call
                    failure = CallError("server", "the server answered 200 with something that is no reply")
            if (declined := self._declined(ask, dialect, failure)) is not None:
                return declined
            await self._meet(failure, trouble, ask=ask, dialect=dialect)

    async def _send(self, ask: Ask, dialect: Dialect, *, held: Reservation, slot: Slot) -> Call:
        started = now()
        reply, request_id = await self._client.send(dialect.body(ask, self.models[ask.role].name))
        body = envelope(reply)
        if body is None:
            held.paid_usd = held.worst_usd
            usage = Usage(cost_usd=held.worst_usd)
        else:
            self.limits.breaker.succeeded()
            usage = self._usage(ask, body, held)
            self.limits.gate.correct(slot, usage.prompt_tokens + usage.completion_tokens)
        return Call(
            role=ask.role,
            attempt=ask.attempt,
            reply=reply if body is not None else reply[:KEPT_BROKEN],
            structured=dialect.structured,
            model=str((body or {}).get("model") or self.models[ask.role].name),
            request_id=request_id,
            usage=usage,
            started=started,
            finished=now(),
        )

    def _usage(self, ask: Ask, body: Mapping[str, object], held: Reservation) -> Usage:
        """What the reply cost; its worst case where the server does not count tokens."""
        prices = self.models[ask.role].prices or FREE
        usage = usage_of(body)
        usage = (
            prices.worst(ask)
            if usage is None
            else usage.model_copy(update={"cost_usd": prices.cost_usd(usage)})
        )
        held.paid_usd = usage.cost_usd
        return usage

    def _declined(self, ask: Ask, dialect: Dialect, failure: CallError) -> Call | None:
        """A 4xx by which the server declines the content is a reply: the model's refusal, kept as such."""
        if failure.code not in DECLINED_CODES:
            return None
        reply = json.dumps({"error": {"code": failure.code, "message": str(failure)}})
        return Call(
            role=ask.role,
            attempt=ask.attempt,
            reply=reply,
            structured=dialect.structured,
            model=self.models[ask.role].name,
            started=now(),
            finished=now(),
        )

    async def _meet(self, failure: CallError, trouble: Trouble, *, ask: Ask, dialect: Dialect) -> None:
        """Do what the failure asks for and return when the call may be tried again."""
        if failure.kind in STOPS:
            code = 1 if failure.kind == "quota" else 2
            self._stop(f"{STOPS[failure.kind]}: {failure}", code)
        if failure.kind == "throttled":
            self._throttle(failure, trouble)
        elif failure.kind == "invalid":
            self._learn(failure, ask=ask, dialect=dialect)
        else:
            trouble.failures += 1
            self._count(failure)
            if trouble.failures > self.limits.retries:
                raise Unsent(f"{failure} ({trouble.failures} times)")
            pause_s = min(MAX_PAUSE_S, self.limits.pause_s * 2 ** (trouble.failures - 1))
            await self.limits.gate.pause(pause_s * (1 - self._jitter.random() / 4))

    def _throttle(self, failure: CallError, trouble: Trouble) -> None:
        trouble.throttled += 1
        if trouble.throttled > MAX_THROTTLED:
            raise Unsent(f"{failure} ({trouble.throttled} times)")
        own_s = min(MAX_PAUSE_S, THROTTLED_S * 2 ** (trouble.throttled - 1))
        self.limits.gate.cool_down(own_s if failure.wait_s is None else failure.wait_s, str(failure))

    def _learn(self, failure: CallError, *, ask: Ask, dialect: Dialect) -> None:
        if self.dialects[ask.role] != dialect:
            return  # another worker has learnt it meanwhile
        learnt = dialect.learn(str(failure), ask)
        if learnt is None:
            self._count(failure)
            raise Unsent(str(failure))
        self.dialects[ask.role] = learnt

    def _count(self, failure: CallError) -> None:
        if (reason := self.limits.breaker.failed()) is not None:
            self._stop(f"{reason}, the last one with: {failure}", 1)

    def _stop(self, reason: str, exit_code: int) -> None:
        stop = RunStopped(reason, exit_code=exit_code)
        self.limits.gate.stop(stop)
        raise stop
