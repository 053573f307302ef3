"""Where an endpoint is, the key that goes there, and whether items may."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lalm_ambig.core.errors import InputError

WHERE = "--endpoint"
EXAMPLE = "Example: http://localhost:8000/v1"
KEY = "OPENAI_API_KEY"
"""The environment variable of the key, unless another is named."""


@dataclass(frozen=True)
class Place:
    """The address of an endpoint."""

    url: str
    """Up to and with `/v1`, without a slash at its end."""
    host: str
    is_local: bool
    """Whether it is this machine."""
    is_encrypted: bool

    @property
    def root(self) -> str:
        """The address without `/v1`, where servers have further paths."""
        return self.url.removesuffix("/v1")


def place_of(url: str) -> Place:
    """Read an address.

    Args:
        url: As on the command line. Without a path it gets `/v1`; a path to the chat itself is cut.

    Raises:
        InputError: It is no address, or has a password or a query, which files and messages would show.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"not an address: {error}.", where=WHERE, remedy=EXAMPLE) from error
    if parts.username or parts.password:
        remedy = f"Put the key into the environment variable {KEY}, or name another by --api-key-env."
        raise InputError("the address holds a user or a password:", where=WHERE, remedy=remedy)
    if parts.scheme not in ("http", "https") or not host or any(letter.isspace() for letter in url.strip()):
        raise InputError(f"not an address: {url!r}.", where=WHERE, remedy=EXAMPLE)
    if parts.query or parts.fragment:
        raise InputError(f"an address without ? and # is needed, got {url!r}.", where=WHERE, remedy=EXAMPLE)
    path = parts.path.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions") or "/v1"
    address = f"{parts.scheme}://{parts.netloc}{path}"
    return Place(address, host, _is_local(host), is_encrypted=parts.scheme == "https")


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def key_for(place: Place, name: str | None, environment: Mapping[str, str] | None = None) -> str | None:
    """The key for an endpoint; None where there is none, or it would go in the clear.

    Args:
        place: The endpoint.
        name: The environment variable that the user has named; None for the usual one, which may be missing.
        environment: By default that of the process.

    Raises:
        InputError: The named variable is not set, or its key cannot be sent, or only in the clear.
    """
    key = (os.environ if environment is None else environment).get(name or KEY, "").strip()
    if name is not None and not key:
        raise InputError(f"the environment variable {name} is not set.", where="--api-key-env")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise InputError(
            f"the environment variable {name or KEY} holds characters that no key has.",
            where=WHERE,
            remedy="Set it again.",
        )
    if place.is_local or place.is_encrypted:
        return key or None
    if name is not None:
        raise InputError(
            f"http to {place.host} would send the key in the clear:",
            where=WHERE,
            remedy="use https, or leave --api-key-env out.",
        )
    return None


def check_upload(place: Place, *, corpus: str, licensed: bool, has_sound: bool, confirmed: bool) -> None:
    """Refuse to send items of a corpus that may not be passed on, or to another machine, unless that was confirmed.

    Args:
        place: The endpoint.
        corpus: Name of the corpus.
        licensed: Whether its licence forbids passing items on.
        has_sound: Whether items have clips.
        confirmed: Whether the user has confirmed it.

    Raises:
        InputError: It was not confirmed.
    """
    if confirmed or (place.is_local and not licensed):
        return
    what = "clips and texts" if has_sound else "texts"
    why = f"the licence of {corpus} forbids passing items on" if licensed else "that is another machine"
    raise InputError(
        f"{what} of {corpus} would be sent to {place.host}, and {why}:",
        where=WHERE,
        remedy="if you may send them there, add --confirm-upload.",
    )
