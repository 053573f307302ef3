"""The line to a Chat Completions server: the only place that knows the openai package.

The package's own retries are off: how often a call is repeated, how long everybody waits and what it may cost
is decided in `exchange.py`, for all calls at once.
"""

import email.utils
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
import openai

from lalm_ambig.errors import InputError

DEFAULT_URL = "https://api.openai.com/v1"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
CONNECT_TIMEOUT_S = 10.0
SHOWN = 300
"""Longest message of a server that is passed on, in characters."""
_SECRET = re.compile(r"\b(?:sk|sess|key)-[\w*.-]{4,}|Bearer\s+\S+")
_DATA = re.compile(r"[A-Za-z0-9+/=]{80,}")

Kind = Literal[
    "throttled", "quota", "server", "timeout", "connection", "credentials", "unknown_model", "invalid"
]
"""throttled: 429. quota: the account is out of money. server: 5xx, 408, 409. invalid: another 4xx."""


class CallError(Exception):
    """A call that brought no reply. The message holds neither key nor audio."""

    def __init__(
        self, kind: Kind, message: str, *, code: str | None = None, wait_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.code = code
        self.wait_s = wait_s
        """Seconds that the server asks to wait; None where it does not say."""


class ChatClient:
    """Sends one request and gives the body as it came."""

    def __init__(self, base_url: str, *, api_key: str | None, timeout_s: float, concurrency: int) -> None:
        """InputError for a URL that would send the key or a clip in the clear, or a missing key."""
        for name in ("openai", "httpx2"):
            logging.getLogger(name).setLevel(
                logging.WARNING
            )  # below it, openai logs whole requests: audio and all
        self._key = _checked_key(base_url, api_key)
        http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            follow_redirects=False,
        )
        self._openai = openai.AsyncOpenAI(
            api_key=self._key, base_url=base_url, max_retries=0, http_client=http
        )

    async def send(self, body: Mapping[str, Any]) -> tuple[str, str | None]:
        """The body of the reply, whatever it holds, and the server's request id; CallError if none came."""
        try:
            response = await self._openai.post("/chat/completions", cast_to=httpx2.Response, body=body)
        except openai.APITimeoutError as error:
            raise CallError("timeout", "no reply in time") from error
        except openai.APIStatusError as error:
            raise self._status_error(error) from error
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            raise CallError("connection", f"the connection failed ({cause})") from error
        return response.text, response.headers.get("x-request-id")

    async def close(self) -> None:
        await self._openai.close()

    def _status_error(self, error: openai.APIStatusError) -> CallError:
        status = error.status_code
        named = {401: "credentials", 403: "credentials", 404: "unknown_model", 408: "server", 409: "server"}
        kind: Kind = "server" if status >= 500 else named.get(status, "invalid")  # type: ignore[assignment]
        if error.code in QUOTA_CODES or error.type in QUOTA_CODES:
            kind = "quota"
        elif status == 429:
            kind = "throttled"
        message = f"HTTP {status}: {self._clean(_message(error))}"
        return CallError(kind, message, code=error.code, wait_s=retry_after_s(error.response.headers))

    def _clean(self, message: str) -> str:
        """A server's message without anything that must not be shown."""
        message = _DATA.sub("[data]", _SECRET.sub("[key]", message.replace(self._key, "[key]")))
        return " ".join(message.split())[:SHOWN]


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after` (seconds or a date); None if neither is there."""
    for header, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(0.0, float(headers[header]) / divisor)
        except (KeyError, ValueError):
            continue
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())


def check_url(base_url: str) -> bool:
    """True for a server on this machine; InputError for a URL that is neither that nor HTTPS."""
    parts = urlsplit(base_url)
    loopback = parts.hostname in LOOPBACK
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"not a URL: {base_url!r}", where="--base-url", remedy="Example: http://localhost:8000/v1"
        )
    if parts.scheme == "http" and not loopback:
        raise InputError(
            f"http to {parts.hostname} would send the key and the clips in the clear.",
            where="--base-url",
            remedy="Use https, or a server on this machine.",
        )
    return loopback


def _checked_key(base_url: str, api_key: str | None) -> str:
    loopback = check_url(base_url)
    if api_key:
        return api_key
    if loopback:
        return "not-needed"
    raise InputError(
        "no API key: the environment variable OPENAI_API_KEY is not set.",
        remedy="Set it, or try --dry-run (no key needed) or --writer acoustic (offline).",
    )


def _message(error: openai.APIStatusError) -> str:
    """What the server said; a page of HTML says nothing that helps."""
    body = error.body
    if isinstance(body, Mapping):
        return str(body.get("message") or body)
    text = str(body or "")
    return "a page of HTML" if "<html" in text.lower() else text
