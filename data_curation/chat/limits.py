"""The limits that all calls share, the models with their prices, and the breaker."""

from collections import deque
from dataclasses import dataclass

from data_curation.chat.budget import Budget, Prices
from data_curation.chat.gate import Gate

FREE = Prices(0.0, 0.0, 0.0)
"""Prices where none are known."""
WINDOW = 200
"""Number of latest calls whose share of failures is watched."""
SEEN = 100
"""Fewest calls for a meaningful share."""
MAX_SHARE = 0.5
MIN_IN_A_ROW = 20
WAVES = 3
"""Failures in a row that stop a run, as a multiple of the concurrency: an outage fails all calls in flight."""


class Unsent(Exception):
    """A call finally brought no reply. Its item is left for the next run."""


@dataclass(frozen=True)
class PricedModel:
    """A model and its prices; None where they are not known."""

    name: str
    prices: Prices | None


class Breaker:
    """Counts failed calls, to notice that a server is down. Replies that ask to wait (429) do not count."""

    def __init__(self, *, concurrency: int) -> None:
        self.limit = max(MIN_IN_A_ROW, WAVES * concurrency)
        """Failures in a row that stop the run."""
        self._in_a_row = 0
        self._failed: deque[bool] = deque(maxlen=WINDOW)

    def succeeded(self) -> None:
        self._in_a_row = 0
        self._failed.append(False)

    def failed(self) -> str | None:
        """Count a failure; returns the reason to stop, or None."""
        self._in_a_row += 1
        self._failed.append(True)
        if self._in_a_row >= self.limit:
            return f"{self._in_a_row} calls in a row failed"
        share = sum(self._failed) / len(self._failed)
        if len(self._failed) >= SEEN and share > MAX_SHARE:
            return f"{share:.0%} of the last {len(self._failed)} calls failed"
        return None


@dataclass(frozen=True)
class Limits:
    """The limits that all calls share."""

    gate: Gate
    budget: Budget
    breaker: Breaker
    retries: int = 5
    """Number of times that a failed call is sent again."""
    pause_s: float = 0.5
    """Seconds of the first pause after a failed call. It doubles each time, less up to a quarter of jitter."""
