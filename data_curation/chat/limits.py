"""What all calls share: the models and their prices, and how far a run may go."""

from collections import deque
from dataclasses import dataclass

from data_curation.chat.budget import Budget, Prices
from data_curation.chat.gate import Gate

FREE = Prices(0.0, 0.0, 0.0)
"""What stands for unknown prices."""
WINDOW = 200
"""Latest calls among which the share of failures is watched."""
SEEN = 100
"""Calls before a share means anything."""
MAX_SHARE = 0.5
MIN_IN_A_ROW = 20
WAVES = 3
"""Failures in a row that stop a run, in multiples of the concurrency: an outage fails a wave at once."""


class Unsent(Exception):
    """A call brought no reply in the end; its item is left for the next run."""


@dataclass(frozen=True)
class PricedModel:
    """A model and what its tokens cost; None where that is not known."""

    name: str
    prices: Prices | None


class Breaker:
    """Counts calls that failed although the request was in order; replies to wait (429) are not counted."""

    def __init__(self, *, concurrency: int) -> None:
        self.limit = max(MIN_IN_A_ROW, WAVES * concurrency)
        """Failures in a row that trip it."""
        self._in_a_row = 0
        self._failed: deque[bool] = deque(maxlen=WINDOW)

    def succeeded(self) -> None:
        self._in_a_row = 0
        self._failed.append(False)

    def failed(self) -> str | None:
        """Count a failure; the reason to stop, or None."""
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
    """What all calls share."""

    gate: Gate
    budget: Budget
    breaker: Breaker
    retries: int = 5
    """How often a failed call is sent again."""
    pause_s: float = 0.5
    """First pause after a failed call; doubled each time, with up to a quarter of jitter."""
