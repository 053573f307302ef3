"""Kinds of failure of a call, from the HTTP status and the body.

The body counts more than the status. A rate limit inside a 200 is a rate limit, a mistake inside a 500 is a mistake.
"""

import email.utils
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Literal

from data_curation.chat.envelope import envelope
from data_curation.chat.error_bodies import ServerError, server_error_in
from data_curation.chat.parse import usage_of
from data_curation.records import Usage

Kind = Literal[
    "throttled",
    "quota",
    "server",
    "timeout",
    "connection",
    "unreachable",
    "credentials",
    "unknown_model",
    "invalid",
    "declined",
]
"""throttled: 429. quota: the account is out of money (402). server: 5xx, 408, 409, or no reply in the body. timeout,
connection: what was sent may have been answered. unreachable: nothing was sent. credentials: 401, 403. unknown_model:
404, 405, redirections. invalid: another 4xx. declined: the server's filter does not let the content pass."""
SHOWN = 300
"""Characters of a server's message that are shown."""
FIRST_ERROR = 300
"""Lowest status of a failure. Redirections are failures, since following one would send the key elsewhere."""
_NAMES: tuple[tuple[Kind, str], ...] = (
    (
        "quota",
        r"insufficient_(user_)?(quota|balance|credits?|funds)|billing_\w+|payment_required|exceeded_current_quota",
    ),
    (
        "declined",
        r"content_?(policy|filter)|data_?inspection_?failed|responsible_?ai_?policy|moderation|prohibited_content",
    ),
    (
        "credentials",
        r"(invalid|incorrect|missing)_api_?key|authentication|unauthori[sz]ed|unauthenticated|permission_?denied",
    ),
    ("throttled", r"rate_?limit|too_?many_?requests|throttl|resource_?exhausted|requests?_limit"),
    ("unknown_model", r"model_?not_?found|not_?found(_error|error)|^not_found$|deployment_?not_?found"),
)
"""Codes and types that count more than a status, in the order in which they are looked for."""
_WEAK_NAMES: tuple[tuple[Kind, str], ...] = (
    ("server", r"server_?error|internal|overloaded|unavailable|api_error|timeout|bad_?gateway"),
    ("invalid", r"invalid|bad_?request|unsupported|forbidden|unprocessable|context_length|validation"),
)
"""Codes and types that count where there is no status."""
_WORDS: tuple[tuple[Kind, str], ...] = (
    (
        "quota",
        r"insufficient (balance|credit|quota|funds)|exceeded your current quota|payment required|out of credits",
    ),
    ("throttled", r"rate.?limit|too many requests|throttl|\bqps\b|quota|slow down"),
    (
        "credentials",
        r"unauthori[sz]ed|not authenticated|authentication|permission denied|access denied|^forbidden",
    ),
    (
        "unknown_model",
        r"model\b.{0,80}\b(not found|not exist|unknown|not available)|no such model|^not found",
    ),
    ("server", r"overload|unavailable|internal|timed? ?out|gateway|\bbusy\b|loading|try again"),
    (
        "invalid",
        r"invalid|(not |un)support|unrecogni|unknown|unexpected|not (permitted|allowed)|required|must be|extra",
    ),
)
_KEY = re.compile(
    r"(api|access).?(key|token).{0,30}\b(not valid|invalid|incorrect|missing|expired|required)|"
    r"(not valid|invalid|incorrect|missing|expired|no) (api|access).?(key|token)"
)
_FLAGGED = re.compile(r"moderation|flagged|content.?(policy|filter|management)|safety (system|policy|filter)")
_WAIT = re.compile(
    r"(?:try again|retry|wait)\D{0,20}(?:(\d+)m(?!s))?\s*(\d+(?:\.\d+)?)\s*(ms|s\b|sec)", re.IGNORECASE
)
_WAIT_KEYS = {
    "retry_after": 1.0,
    "retry-after": 1.0,
    "retryafter": 1.0,
    "retrydelay": 1.0,
    "retry_after_ms": 1e-3,
}


class CallError(Exception):
    """A call without a reply. The message contains no key and no audio."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        server_error: ServerError | None = None,
        wait_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.server_error = server_error or ServerError(message)
        """The error as the server describes it. It may contain secrets, so it is not shown."""
        self.wait_s = wait_s
        """Seconds that the server asks to wait; None where it does not."""
        self.usage = usage
        """Tokens that the server counted nevertheless."""


def failure_of(
    status: int, reply: str, headers: Mapping[str, str], *, clean: Callable[[str], str]
) -> CallError | None:
    """The failure in a response; None where the response is a reply.

    Args:
        status: HTTP status.
        reply: The body.
        headers: Headers of the response.
        clean: Removes secrets and audio from a message.
    """
    server_error = server_error_in(reply)
    if server_error is None:
        return None
    body = envelope(reply)
    on_wire = status if status >= FIRST_ERROR else None
    named = server_error.status or on_wire or server_error.status_in_words
    message = (
        server_error.message
        if named is None
        else f"HTTP {named}{inside(status, named)}: {server_error.message}"
    )
    return CallError(
        kind_of(status, server_error),
        clean(message),
        server_error=server_error,
        wait_s=wait_s(headers, body, server_error.message),
        usage=None if body is None else usage_of(body),
    )


def inside(status: int, named: int) -> str:
    """Addition to a message where the named status is not the HTTP status."""
    return "" if status == named else f" inside a {status}"


def kind_of(status: int, server_error: ServerError) -> Kind:
    """The kind of a failure. The codes count most, then the status in the body, the HTTP status, and the words."""
    words = server_error.message.lower()
    if (kind := _first(_NAMES, server_error.names)) is not None:
        return kind
    on_wire = status if status >= FIRST_ERROR else None
    number = server_error.status or on_wire or server_error.status_in_words
    if number is not None:
        return _by_status(number, words)
    return _first(_WEAK_NAMES, server_error.names) or _first(_WORDS, (words,)) or "server"


def _by_status(status: int, words: str) -> Kind:
    if status in (400, 403, 422) and _FLAGGED.search(words):
        return "declined"
    if status == 400 and _KEY.search(words):
        return "credentials"
    by_number: dict[int, Kind] = {
        **dict.fromkeys((301, 302, 303, 307, 308, 405), "unknown_model"),
        401: "credentials",
        402: "quota",
        403: "credentials",
        404: "unknown_model",
        408: "server",
        409: "server",
        425: "server",
        429: "throttled",
    }
    return by_number.get(status, "server" if status >= 500 else "invalid")


def _first(table: tuple[tuple[Kind, str], ...], texts: tuple[str, ...]) -> Kind | None:
    return next((kind for kind, pattern in table if any(re.search(pattern, text) for text in texts)), None)


def wait_s(headers: Mapping[str, str], body: Mapping[str, object] | None, message: str) -> float | None:
    """Seconds that a server asks to wait, in a header, in the body or in its message."""
    if (seconds := retry_after_s(headers)) is not None:
        return seconds
    for key, value in _entries(body):
        factor = _WAIT_KEYS.get(key.lower())
        if factor is not None and (number := re.fullmatch(r"(\d+(?:\.\d+)?)s?", str(value))):
            return float(number[1]) * factor
    match = _WAIT.search(message)
    if match is None:
        return None
    minutes, amount, unit = match.groups()
    return 60.0 * int(minutes or 0) + float(amount) * (1e-3 if unit.lower() == "ms" else 1.0)


def _entries(value: object, depth: int = 0) -> list[tuple[str, object]]:
    """Keys and values in a body, on all levels."""
    if depth > 6 or not isinstance(value, Mapping | list):
        return []
    pairs = list(value.items()) if isinstance(value, Mapping) else [("", entry) for entry in value]
    return [(str(k), v) for k, v in pairs] + [entry for _, v in pairs for entry in _entries(v, depth + 1)]


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after` (seconds or a date); None where neither is present."""
    for header, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[header]) / divisor
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
