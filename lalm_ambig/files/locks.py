"""One process at a time: a lock beside the files that it writes. The system takes it back from a process that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.failures import as_cannot_write


@contextmanager
def locked(path: Path, *, busy: InputError) -> Iterator[None]:
    """Hold a lock for the time of the block.

    The file goes with the block. A killed process leaves it without a lock, and the next one takes it.

    Args:
        path: The lock's file; missing folders above it are made.
        busy: What is raised where another process has it.

    Raises:
        InputError: `busy`.
        CannotWrite: The file cannot be made.
    """
    handle = _taken(path, busy)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def _taken(path: Path, busy: InputError) -> int:
    with as_cannot_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise busy from None
            if _is_at(handle, path):
                return handle
            os.close(handle)  # the process that had it has just removed the file


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(status, os.fstat(handle))
