"""A server over HTTP: what it answers, what it refuses, and what is worth another try."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from lalm_ambig.core import stopping
from lalm_ambig.core.errors import InputError

T = TypeVar("T")


class NoRedirect(HTTPRedirectHandler):
    """Follows no redirection: the key would go along, to wherever the server says."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = build_opener(ProxyHandler({}), NoRedirect())
"""Without a proxy: the servers are this machine's, or its neighbours."""
PROXIED = build_opener(NoRedirect())
"""With the environment's proxy, for servers elsewhere."""
AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""Status codes after which the same request may succeed: the server is busy, paused or being started."""
MOST_BYTES = 256 * 2**20
"""Longest answer that is read."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 10.0
GOES_ON = "The same command goes on from the last checkpoint."


class Unavailable(Exception):
    """The server has not answered, or with something that is no answer: worth another try."""

    def __init__(self, message: str, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        """The server's header of that name: seconds, or a date."""


class Refused(Exception):
    """The server has answered that it will not, and why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status, self.message = status, message


@dataclass(frozen=True)
class Server:
    """One server. Its methods try once."""

    url: str
    timeout_s: float = 600.0
    """Longest silence of the server within a request."""
    key: str | None = field(default_factory=lambda: os.environ.get("VLLM_API_KEY"), repr=False)
    """Sent along, and shown nowhere."""
    is_far: bool = False
    """Whether the environment's proxy leads to it."""

    def get(self, path: str) -> Any:
        """The JSON at a path.

        Raises:
            Unavailable: There is no answer, or it is not JSON.
            Refused: The server refuses.
        """
        return _json(self._ask(path, None), path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON that answers a body; errors as for `get`."""
        return _json(self._ask(path, body), path)

    def tell(self, path: str, body: dict[str, Any]) -> None:
        """Send a body whose answer says nothing; errors as for `get`."""
        self._ask(path, body)

    def has(self, path: str) -> bool:
        """Whether the server has a path to get from; errors other than its absence as for `get`."""
        try:
            self._ask(path, None)
        except Refused as error:
            if error.status in (404, 405):
                return False
            raise
        return True

    def _ask(self, path: str, body: dict[str, Any] | None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data=data, headers=headers)
        try:
            with (PROXIED if self.is_far else OPENER).open(request, timeout=self.timeout_s) as reply:
                content: bytes = reply.read(MOST_BYTES + 1)
        except HTTPError as error:
            with error:
                message = self._without_key(_message(error))
            if error.code in AGAIN:
                after = error.headers.get("Retry-After")
                raise Unavailable(f"HTTP {error.code} at {path}: {message}", error.code, after) from error
            raise Refused(error.code, message) from error
        except (OSError, HTTPException) as error:
            raise Unavailable(f"no answer at {path}: {_cause(error)}") from error
        if len(content) > MOST_BYTES:
            raise Unavailable(f"more than {MOST_BYTES:,} bytes at {path}")
        return content

    def _without_key(self, message: str) -> str:
        """A server's message without the key, which some send back."""
        return message.replace(self.key, "[key]") if self.key else message


def patiently(attempt: Callable[[], T], *, patience_s: float, where: str) -> T:
    """The result of an attempt, which is repeated while the server is unavailable; the waits grow.

    Args:
        attempt: Called until it does not raise `Unavailable`.
        patience_s: Seconds after which nothing more is tried.
        where: The server, for messages.

    Raises:
        InputError: The server stays unavailable.
        Stopped: A signal has asked the command to end.
    """
    started, wait, told = time.monotonic(), FIRST_WAIT_S, False
    while True:
        try:
            return attempt()
        except Unavailable as error:
            waited = time.monotonic() - started
            if waited + wait > patience_s:
                raise InputError(
                    f"{error}, for {waited:.0f} s.", where=where, remedy=f"Start the server. {GOES_ON}"
                ) from error
            if not told and waited > LONGEST_WAIT_S:
                print(f"{where}: {error}; waiting for up to {patience_s:.0f} s", file=sys.stderr)
                told = True
        _sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT_S)


def _sleep(seconds: float) -> None:
    """Sleep, unless a signal asks the command to end: a step that waits for a server will not be finished."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if (signal := stopping.requested_signal()) is not None:
            raise stopping.Stopped(signal)
        time.sleep(min(left, 0.2))


def _json(content: bytes, path: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise Unavailable(f"an answer at {path} that is no JSON: {content[:80]!r}") from error


def _message(error: HTTPError) -> str:
    """What an answer says of an error: the message of its JSON, or its beginning; on one line."""
    try:
        content = error.read(4000)
        found = json.loads(content)
        for key in ("error", "message", "detail"):
            if isinstance(found, dict) and key in found:
                found = found[key]
        text = str(found.get("message", found)) if isinstance(found, dict) else str(found)
    except (OSError, HTTPException):
        text = ""
    except ValueError:
        text = content.decode(errors="replace")
    return " ".join(text.split())[:300] or str(error.reason)


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split())[:200] or type(error).__name__
