"""Noticing that a server is down rather than stumbling."""

from collections import deque

WINDOW = 200
"""Latest calls among which the share of failures is watched."""
SEEN = 100
"""Calls before a share means anything."""
MAX_SHARE = 0.5
MIN_IN_A_ROW = 20
WAVES = 3
"""Failures in a row that stop a run, in multiples of the concurrency: an outage fails a wave at once."""


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
