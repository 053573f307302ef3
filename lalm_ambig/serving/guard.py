"""Whose requests are taken, and what every answer carries.

A page of another site that a user has open can send requests to this machine, and can make a name of its own lead
here. So requests must name this server as their host, and those of a browser must come from this server's own page.
"""

import asyncio
import ipaddress
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from lalm_ambig.serving.limits import Refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Server": "lalm_ambig",
}
"""Of every answer: a page of this server loads nothing from elsewhere, and no other page may show or read it."""


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that binds to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(host: str, more: Iterable[str]) -> frozenset[str] | None:
    """Names by which requests may call the server; None for any.

    Args:
        host: What it binds to.
        more: Further names, such as that of a proxy in front.
    """
    names = frozenset(name.lower() for name in more)
    try:
        if ipaddress.ip_address(host).is_unspecified and not names:
            return None
    except ValueError:
        pass
    return names | {host.lower()} | set(LOCAL_NAMES)


def error_answer(refusal: Refusal) -> web.Response:
    """The answer of a refusal: `{"error": line}`."""
    answer = web.json_response({"error": refusal.line}, status=refusal.status)
    if refusal.retry_after_s is not None:
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
    return answer


def guard(hosts: frozenset[str] | None) -> Any:
    """A middleware that lets requests of this server's users pass, and answers every failure in one line.

    Args:
        hosts: Names by which they may call the server; None for any.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check_sender(request, hosts)
            return await handler(request)
        except Refusal as refusal:
            return error_answer(refusal)
        except web.HTTPException as error:
            line = {404: "there is no such page.", 405: f"{request.method} is not for this address."}
            answer = error_answer(Refusal(error.status, line.get(error.status, f"{error.reason}.")))
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            traceback.print_exception(error, file=sys.stderr)
            return error_answer(Refusal(500, "the server failed at this request; its output says why."))

    return guarded


def check_sender(request: web.Request, hosts: frozenset[str] | None) -> None:
    """Check that a request calls this server by its name, and comes from its own page or from no page.

    Raises:
        Refusal: 403.
    """
    called = request.headers.get("Host", "")
    name = _netloc(f"//{called}")
    if name is None or (hosts is not None and name[0] not in hosts):
        raise Refusal(403, "this server is not called by that name (--allow-host NAME allows one more).")
    origin = request.headers.get("Origin")
    others = request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
    if (origin is not None and _netloc(origin) != name) or (others and request.path != "/"):
        raise Refusal(403, "requests of other sites' pages are not taken.")


def _netloc(url: str) -> tuple[str, int | None] | None:
    """Host and port of an address, without the port that goes without saying; None where it has none."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return None if not name else (name, None if port in (80, 443) else port)


async def add_headers(_: web.Request, answer: web.StreamResponse) -> None:
    """Add `HEADERS` to an answer."""
    answer.headers.update(HEADERS)
