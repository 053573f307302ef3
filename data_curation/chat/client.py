"""The client of a Chat Completions server. No other module imports the openai package.

The retries of the package are off. `exchange.py` decides for all calls together how often a call is repeated, how long
all wait, and what a call may cost.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from data_curation.chat.failures import SHOWN, CallError, failure_of
from lalm_ambig.core.errors import InputError

DEFAULT_URL = "https://api.openai.com/v1"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CONNECT_TIMEOUT_S = 10.0
_SECRET = re.compile(r"\b(?:sk|sess|key)-[\w*.-]{4,}|Bearer\s+\S+")
_DATA = re.compile(r"[A-Za-z0-9+/=]{80,}")

UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""Errors that occur before any part of a request is sent."""


class ChatClient:
    """Sends one request and returns the unchanged body of the response."""

    def __init__(self, base_url: str, *, api_key: str | None, timeout_s: float, concurrency: int) -> None:
        """Args:
            base_url: Address of the server.
            api_key: The key; it may be missing for a server on this machine.
            timeout_s: Seconds to wait for a reply.
            concurrency: Largest number of connections.

        Raises:
            InputError: The URL would send the key or a clip unencrypted, or the key is missing.
        """
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
        """Send a request.

        Returns:
            The unchanged body, and the server's request id.

        Raises:
            CallError: There was no response, or its body holds no reply.
        """
        try:
            response = await self._openai.post("/chat/completions", cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:
            raise _broken_connection(error) from error
        failure = failure_of(response.status_code, response.text, response.headers, clean=self._clean)
        if failure is not None:
            raise failure
        return response.text, response.headers.get("x-request-id")

    async def close(self) -> None:
        await self._openai.close()

    def _clean(self, message: str) -> str:
        """A server's message without keys and audio, cut to the length that is shown."""
        message = _DATA.sub("[data]", _SECRET.sub("[key]", message.replace(self._key, "[key]")))
        return " ".join(message.split())[:SHOWN]


def _broken_connection(error: openai.APIConnectionError) -> CallError:
    if isinstance(error.__cause__, UNSENT):
        return CallError("unreachable", f"no connection ({type(error.__cause__).__name__})")
    if isinstance(error, openai.APITimeoutError):
        return CallError("timeout", "no reply in time")
    return CallError("connection", f"the connection failed ({type(error.__cause__).__name__})")


def check_url(base_url: str) -> bool:
    """Whether a URL is that of a server on this machine.

    Raises:
        InputError: It is not a URL, or neither HTTPS nor on this machine.
    """
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
