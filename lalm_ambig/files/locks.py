"""One process at a time: a lock beside the files that it writes. The system takes it back from a process that ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.failures import as_cannot_write

WITHOUT_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
"""Errors of a file system that has no locks, such as Lustre where it is mounted without them."""


def takes_lock(handle: int) -> bool:
    """Take the lock of an open file, without waiting. The system takes it back when the file is closed.

    Args:
        handle: The file.

    Returns:
        Whether no other process has it. On a file system without locks, that is not known and nobody is kept out.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    return True


@contextmanager
def locked(path: Path, *, busy: InputError) -> Iterator[None]:
    """Hold a lock for the time of the block.

    The file goes with the block, and so do folders that were made for it and hold nothing else. A killed process
    leaves the file without a lock, and the next one takes it.

    Args:
        path: The lock's file; missing folders above it are made.
        busy: What is raised where another process has it.

    Raises:
        InputError: `busy`.
        CannotWrite: The file cannot be made.
    """
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    handle = _taken(path, busy)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
            for folder in made:
                folder.rmdir()
        os.close(handle)


def _taken(path: Path, busy: InputError) -> int:
    with as_cannot_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
            if not takes_lock(handle):
                os.close(handle)
                raise busy
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
