"""The gate that all workers pass before a call: rate limits, cool-downs and the stop."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from lalm_ambig.core.errors import InputError

WINDOW_S = 60.0


class RunStopped(Exception):
    """No further call may be sent. The same command continues the run."""

    def __init__(self, reason: str, *, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code


class Slot:
    """A call in the token window."""

    def __init__(self, entered_s: float, tokens: int) -> None:
        self.entered_s = entered_s
        self.tokens = tokens


class Gate:
    """Requests and tokens of the last minute, and the end of the cool-down."""

    def __init__(
        self,
        *,
        rpm: int | None = None,
        tpm: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        announce: Callable[[str], None] = print,
    ) -> None:
        """Args:
        rpm: Most requests in any 60 seconds; None for no limit.
        tpm: Most tokens in any 60 seconds; None for no limit. A call counts at its worst case until its reply.
        clock: A monotonic clock, in seconds.
        announce: Prints a line for the user.

        Raises:
            InputError: A limit is below 1.
        """
        for name, value in (("--rpm", rpm), ("--tpm", tpm)):
            if value is not None and value < 1:
                raise InputError(f"must be at least 1, got {value}", where=name)
        self._rpm = rpm
        self._tpm = tpm
        self._clock = clock
        self._announce = announce
        self._slots: deque[Slot] = deque()
        self._tokens = 0
        self._cool_until_s = 0.0
        self._stop: RunStopped | None = None
        self._stopping = asyncio.Event()

    @property
    def stopped(self) -> RunStopped | None:
        return self._stop

    @property
    def cooling_s(self) -> float:
        """Seconds until the end of the cool-down; 0 without one."""
        return max(0.0, self._cool_until_s - self._clock())

    def stop(self, why: RunStopped) -> None:
        """Send nothing from now on, and wake all waiting workers. The first reason is kept."""
        self._stop = self._stop or why
        self._stopping.set()

    def cool_down(self, seconds: float, why: str) -> None:
        """Send nothing for so many seconds. A cool-down that ends earlier than the present one changes nothing."""
        until = self._clock() + seconds
        if until > self._cool_until_s + 0.5:
            self._announce(f"cooling down for {seconds:.3g} s, all calls wait: {why}")
        self._cool_until_s = max(self._cool_until_s, until)

    async def enter(self, tokens: int) -> Slot:
        """Wait until a call of so many tokens may be sent.

        Raises:
            RunStopped: The run is stopped.
        """
        while (wait_s := self._wait_s(tokens)) > 0:
            await self.pause(wait_s)
        self._raise_if_stopped()
        slot = Slot(self._clock(), tokens)
        self._slots.append(slot)
        self._tokens += tokens
        return slot

    def correct(self, slot: Slot, tokens: int) -> None:
        """Replace a call's estimated tokens by the server's count."""
        if slot in self._slots:
            self._tokens += tokens - slot.tokens
        slot.tokens = tokens

    async def pause(self, seconds: float) -> None:
        """Wait for so many seconds.

        Raises:
            RunStopped: The run is stopped, at once.
        """
        self._raise_if_stopped()
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        self._raise_if_stopped()

    def _wait_s(self, tokens: int) -> float:
        now = self._clock()
        while self._slots and self._slots[0].entered_s <= now - WINDOW_S:
            self._tokens -= self._slots.popleft().tokens
        wait_s = self._cool_until_s - now
        too_many = self._rpm is not None and len(self._slots) >= self._rpm
        too_much = self._tpm is not None and self._slots and self._tokens + tokens > self._tpm
        if too_many or too_much:
            wait_s = max(wait_s, self._slots[0].entered_s + WINDOW_S - now)
        return wait_s

    def _raise_if_stopped(self) -> None:
        if self._stop is not None:
            raise self._stop
