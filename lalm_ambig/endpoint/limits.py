"""Limits of what is asked: the cap on money or tokens, the rate, and the pauses that the server asks for."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lalm_ambig.core.errors import InputError

PER = 1e6
"""Prices are per so many tokens."""
TICK_S = 0.1
"""Longest time in which a waiting worker does not see that all are to end."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, or of several."""

    prompt: int = 0
    """Tokens of the prompt, those of sound included."""
    completion: int = 0
    audio: int = 0
    """Those of the prompt that are sound."""

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt + other.prompt, self.completion + other.completion, self.audio + other.audio)

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt - other.prompt, self.completion - other.completion, self.audio - other.audio)


@dataclass(frozen=True)
class Prices:
    """Prices of a model, in US dollars per million tokens."""

    text_in: float
    out: float
    audio_in: float = 0.0

    def cost_usd(self, usage: Usage) -> float:
        """What tokens cost.

        >>> Prices(2.5, 10.0).cost_usd(Usage(prompt=1_000_000, completion=100_000))
        3.5
        """
        text = max(0, usage.prompt - usage.audio)
        return (text * self.text_in + usage.audio * self.audio_in + usage.completion * self.out) / PER


class CapReached(InputError):
    """The next call could exceed a cap."""


class Ended(Exception):
    """Another worker has failed, or the command is to end."""


class Limits:
    """The limits of all workers together.

    Args:
        prices: None where they are not known; there is then no cap on money.
        max_usd: Cap on money; None for none.
        max_tokens: Cap on tokens; None for none.
        rpm: Most requests per minute; None for any number.
    """

    def __init__(
        self,
        prices: Prices | None = None,
        *,
        max_usd: float | None = None,
        max_tokens: int | None = None,
        rpm: float | None = None,
    ) -> None:
        self.prices, self.max_usd, self.max_tokens = prices, max_usd, max_tokens
        self.spent = Usage()
        """Of all calls, those of earlier commands on the same folder included."""
        self.ended = threading.Event()
        """Set when all workers are to end."""
        self._gap_s = 0.0 if rpm is None else 60 / rpm
        self._next_at = 0.0
        self._reserved = Usage()
        self._changed = threading.Condition()

    @property
    def spent_usd(self) -> float | None:
        """What was spent, in US dollars; None without prices."""
        return None if self.prices is None else self.prices.cost_usd(self.spent)

    def count(self, usage: Usage) -> None:
        """Count a call of an earlier command."""
        self.spent += usage

    @contextmanager
    def reserve(self, worst: Usage) -> Iterator[list[Usage]]:
        """Reserve the worst case of a call, until its usage is known.

        A call waits while those in flight may turn out cheap enough.

        Args:
            worst: The most tokens that it can take.

        Yields:
            An empty list. What is put there is counted as spent.

        Raises:
            CapReached: The call could exceed a cap, and no other is in flight.
            Ended: All workers are to end.
        """
        with self._changed:
            while (reason := self._refusal(worst)) is not None and self._reserved.total:
                self._changed.wait(TICK_S)
                self.check()
            if reason is not None:
                raise CapReached(reason)
            self._reserved += worst
        paid: list[Usage] = []
        try:
            yield paid
        finally:
            with self._changed:
                self._reserved -= worst
                self.spent = sum(paid, self.spent)
                self._changed.notify_all()

    def _refusal(self, worst: Usage) -> str | None:
        after = self.spent + self._reserved + worst
        if self.max_tokens is not None and after.total > self.max_tokens:
            return (
                f"--max-tokens-total {self.max_tokens} is reached: {self.spent.total} tokens are spent, and the next "
                f"call could take {worst.total}"
            )
        if (
            self.max_usd is not None
            and self.prices is not None
            and self.prices.cost_usd(after) > self.max_usd
        ):
            return (
                f"--max-cost-usd {self.max_usd:g} is reached: {self.prices.cost_usd(self.spent):.4f} are spent, and "
                f"the next call could cost {self.prices.cost_usd(worst):.4f}"
            )
        return None

    def enter(self) -> None:
        """Wait for this request's turn: the rate, and a pause that the server has asked for.

        Raises:
            Ended: All workers are to end.
        """
        with self._changed:
            at = max(self._next_at, time.monotonic())
            self._next_at = at + self._gap_s
        self.wait(at - time.monotonic())

    def pause(self, seconds: float) -> None:
        """Let no request begin for so many seconds."""
        with self._changed:
            self._next_at = max(self._next_at, time.monotonic() + seconds)

    def wait(self, seconds: float) -> None:
        """Wait; errors as for `check`."""
        if self.ended.wait(max(0.0, seconds)):
            raise Ended

    def check(self) -> None:
        """Raise `Ended` where all workers are to end."""
        if self.ended.is_set():
            raise Ended
