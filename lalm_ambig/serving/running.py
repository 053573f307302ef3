"""A server from its socket to its end."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from aiohttp import web

from lalm_ambig.core.errors import InputError
from lalm_ambig.serving.app import Service

BACKLOG = 1024
"""Connections that may wait to be accepted."""
LOOK_S = 0.1
"""Seconds between two looks at whether the server is to stop."""
STOP_S = 1.5
"""Longest wait at the end for the answers of the batch that the model is at."""
SILENT = logging.Logger("lalm_ambig.serving", logging.CRITICAL + 1)
"""What strangers send is not logged, neither well-formed nor broken."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Take a port. Who connects waits until the server runs.

    Args:
        host: Name or address of this machine.
        port: The port; 0 for a free one.

    Raises:
        InputError: The port is taken or may not be taken, or the machine has no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(
            f"{host!r} is no address of this machine.", where="--host", remedy="Use 127.0.0.1."
        ) from error
    taken = socket.socket(family, kind, protocol)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(address)
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise _refused(error, host, port) from error
    return taken


def _refused(error: OSError, host: str, port: int) -> InputError:
    if error.errno == errno.EADDRINUSE:
        remedy = (
            f"Choose another, such as --port {port + 1 if port < 65535 else 8000}; --port 0 takes a free one."
        )
        return InputError(f"port {port} is taken by another program.", where="--port", remedy=remedy)
    if error.errno == errno.EACCES:
        return InputError(
            f"port {port} needs rights that you do not have.", where="--port", remedy="Use 1024 or more."
        )
    remedy = "Use 127.0.0.1, or 0.0.0.0 for all networks."
    return InputError(f"{host!r} is no address of this machine.", where="--host", remedy=remedy)


async def run(
    service: Service,
    taken: socket.socket,
    *,
    hosts: frozenset[str] | None,
    stops: Callable[[], bool],
    started: Callable[[], None],
) -> None:
    """Serve until `stops` says so. Whoever waits then is told.

    Args:
        service: The service, whose worker runs.
        taken: The socket, which is closed at the end.
        hosts: Names by which requests may call the server; None for any.
        stops: Asked ten times a second.
        started: Called once requests are taken.
    """
    runner = web.AppRunner(
        service.app(hosts),
        access_log=None,
        logger=SILENT,
        auto_decompress=False,
        handler_cancellation=True,
        keepalive_timeout=15.0,
        lingering_time=3.0,
        shutdown_timeout=STOP_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, taken, backlog=BACKLOG).start()
        started()
        while not stops():
            await asyncio.sleep(LOOK_S)
    finally:
        service.worker.refuse()
        await runner.cleanup()


def address_of(taken: socket.socket) -> str:
    """The address of a server's page."""
    host, port = taken.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
