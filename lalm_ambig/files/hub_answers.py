"""Questions to the model hub that end in seconds, whatever the network does."""

import threading
from collections.abc import Callable
from typing import Any

PATIENCE_S = 4.0
"""Longest wait for an answer in seconds, with the search for the hub's address."""
BUSY = (407, 429, 500, 502, 503, 504)
"""Status codes that count as no answer: a proxy that refuses, too many requests, a server error."""


def call_within(call: Callable[[], Any], patience_s: float) -> None:
    """Call a function and continue after this time at the latest; the search for an address takes no timeout.

    Args:
        call: The function. It keeps its result and its exceptions to itself.
        patience_s: Longest wait in seconds.
    """
    thread = threading.Thread(target=call, daemon=True, name="question to the hub")
    thread.start()
    thread.join(patience_s)


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
