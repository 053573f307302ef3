"""Money: the cost of a call, its worst case, and the cap that no run exceeds."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.resources import files

from data_curation.chat.gate import RunStopped
from data_curation.questions import Question
from data_curation.records import Usage
from lalm_ambig.core.errors import InputError

TOKENS = 1e6
OVERHEAD_TOKENS = 200
"""Tokens of a request's structure; more than any server was seen to add."""
BYTES_PER_TOKEN = 4
"""Bytes per token of usual English text. In the worst case every byte is a token."""
USUAL_OUT_TOKENS = {"writer": 450, "validator": 80}


@dataclass(frozen=True)
class Prices:
    """Prices of one model, in US dollars per million tokens."""

    text_in: float
    audio_in: float
    out: float
    audio_tokens_per_s: float = 10.0

    def cost_usd(self, usage: Usage) -> float:
        text = max(0, usage.prompt_tokens - usage.audio_tokens)
        audio = usage.audio_tokens
        return (text * self.text_in + audio * self.audio_in + usage.completion_tokens * self.out) / TOKENS

    def worst(self, question: Question) -> Usage:
        """Worst case of a call: one token per byte of the question, and a reply of the largest length."""
        return self._usage(question, text_tokens=_bytes(question) + OVERHEAD_TOKENS, out=question.max_tokens)

    def usual(self, question: Question) -> Usage:
        """Usual tokens and cost of a call."""
        tokens = _bytes(question) // BYTES_PER_TOKEN
        return self._usage(
            question, text_tokens=tokens, out=min(question.max_tokens, USUAL_OUT_TOKENS[question.role])
        )

    def _usage(self, question: Question, *, text_tokens: int, out: int) -> Usage:
        seconds = (
            1.0 if question.clip is None else question.clip.duration_s
        )  # without a clip: silence, where the model insists
        audio = round(seconds * self.audio_tokens_per_s) + 1
        usage = Usage(prompt_tokens=text_tokens + audio, audio_tokens=audio, completion_tokens=out)
        return usage.model_copy(update={"cost_usd": self.cost_usd(usage)})


def prices_of(model: str, overrides: dict[str, float | None]) -> Prices | None:
    """Prices of a model, from `prices.json` and the user's options.

    Args:
        model: Name of the model.
        overrides: Prices by name that the user gave; None where not given. They come before those of the file.

    Returns:
        The prices; None where none is known.

    Raises:
        InputError: The model is not listed, and only some of its prices are given.
    """
    table = json.loads((files("data_curation") / "prices.json").read_text(encoding="utf-8"))
    own_prices = {name: value for name, value in overrides.items() if value is not None}
    prices = table["models"].get(model, {}) | own_prices
    if not prices:
        return None
    if missing := sorted({"text_in", "audio_in", "out"} - set(prices)):
        options = ", ".join(f"--price-{name.replace('_', '-')}" for name in missing)
        raise InputError(f"{model} is not in prices.json: give {options} too")
    tokens_per_s = float(table["audio_tokens_per_s"])
    return Prices(**{name: float(usd) for name, usd in prices.items()}, audio_tokens_per_s=tokens_per_s)


class Reservation:
    """Money that is reserved for a call in flight."""

    def __init__(self, worst_usd: float) -> None:
        self.worst_usd = worst_usd
        self.paid_usd = 0.0
        """Cost of the call; 0 for a call that the server did not accept."""


@dataclass
class Spending:
    """Money that is spent, and that is reserved for calls in flight, in USD."""

    spent_usd: float = 0.0
    reserved_usd: float = 0.0


class Budget:
    """The cap on everything that is spent on one file. Calls in flight count at their worst case.

    Raises:
        InputError: The cap is not above 0.
    """

    def __init__(self, cap_usd: float | None, *, spent_usd: float = 0.0) -> None:
        if cap_usd is not None and cap_usd <= 0:
            raise InputError(f"must be above 0, got {cap_usd:g}", where="--max-cost-usd")
        self.cap_usd = cap_usd
        self._now = Spending(spent_usd)
        self._changed = asyncio.Condition()

    @property
    def spent_usd(self) -> float:
        return self._now.spent_usd

    @asynccontextmanager
    async def reserve(self, worst_usd: float) -> AsyncIterator[Reservation]:
        """Reserve the worst case of a call until its cost is known.

        It waits while calls in flight may turn out cheap enough.

        Raises:
            RunStopped: The call could exceed the cap, and no call is in flight.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(worst_usd) or self._now.reserved_usd <= 0)
            if not self._fits(worst_usd):
                raise RunStopped(
                    f"--max-cost-usd {self.cap_usd:g} is reached: {self.spent_usd:.4f} are spent "
                    f"and the next call could cost {worst_usd:.4f}"
                )
            self._now = replace(self._now, reserved_usd=self._now.reserved_usd + worst_usd)
        reservation = Reservation(worst_usd)
        try:
            yield reservation
        finally:
            await asyncio.shield(self._settle(reservation))

    async def _settle(self, reservation: Reservation) -> None:
        async with self._changed:
            reserved = self._now.reserved_usd - reservation.worst_usd
            self._now = Spending(
                self._now.spent_usd + reservation.paid_usd, reserved if reserved > 1e-12 else 0.0
            )
            self._changed.notify_all()

    def _fits(self, worst_usd: float) -> bool:
        return self.cap_usd is None or self.spent_usd + self._now.reserved_usd + worst_usd <= self.cap_usd


def _bytes(question: Question) -> int:
    return len((question.system + question.text + json.dumps(question.tool.schema)).encode())
