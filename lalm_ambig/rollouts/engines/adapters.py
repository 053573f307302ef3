"""The adapters that servers are given: a folder per update, under a name that was never used before.

A server keys its prefix cache by an adapter's name, so new weights under an old name would be read with old states.
"""

import secrets
import shutil
import tempfile
import weakref
from pathlib import Path

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.served_adapter import write_served_adapter
from lalm_ambig.remote.server import Refused, Server, Unavailable

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
LOADED_ALREADY = "already been loaded"
FAILED = 500
"""Status of a server that could not load what it read: no later attempt will."""


class Adapters:
    """Folders of adapters, of which the newest is on every server."""

    def __init__(self, folder: Path | None) -> None:
        """Args:
        folder: Where the folders are made; by default a temporary folder, which vanishes with this process.
        """
        self.prefix = f"lalm_ambig-{secrets.token_hex(4)}"
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="lalm_ambig-adapters-"))
            weakref.finalize(self, shutil.rmtree, folder, True)
        self.folder = folder.expanduser()
        self.written = 0

    def write(self, policy: Policy, step: int) -> Path:
        """Write the policy's adapter, and return its folder, whose name is the adapter's.

        Args:
            policy: The policy.
            step: Optimiser steps taken, for the name; negative before training.
        """
        self.written += 1
        when = "start" if step < 0 else f"step-{step}"
        return write_served_adapter(policy, self.folder / f"{self.prefix}-{self.written}-{when}")

    def remove(self, path: Path) -> None:
        """Delete an adapter's folder."""
        shutil.rmtree(path, ignore_errors=True)


def load(server: Server, path: Path) -> None:
    """Let a server load an adapter under its folder's name, if it has not done so already.

    It is paused meanwhile, if it can be: a server of others' requests, too, answers none with half of the weights.

    Raises:
        Unavailable: It does not answer.
        Refused: It does not take the adapter.
    """
    pauses = server.has("/is_paused")
    if pauses:
        server.tell("/pause?mode=wait", {})
    try:
        server.tell(LOAD, {"lora_name": path.name, "lora_path": str(path)})
    except Refused as error:
        if LOADED_ALREADY not in error.message:
            raise
    except Unavailable as error:
        if error.status == FAILED:
            raise Refused(FAILED, str(error).partition(": ")[2]) from error
        raise
    finally:
        if pauses:
            server.tell("/resume", {})


def unload(server: Server, name: str) -> None:
    """Let a server forget an adapter; one that cannot has forgotten it, or will when it ends."""
    try:
        server.tell(UNLOAD, {"lora_name": name})
    except (Refused, Unavailable):
        return
