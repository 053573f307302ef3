"""The error of a file that cannot be written: one line with the place, the reason and a remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lalm_ambig.core.errors import InputError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
WRITE_ERRORS = NO_SPACE | NO_PERMISSION | {errno.EIO, errno.ESTALE, errno.EPIPE, errno.ENXIO, errno.ENODEV}
"""Errors of a write to an open file, which name no file."""


class CannotWrite(InputError):
    """A file or folder cannot be written; the cause is the machine or the path."""

    def __init__(self, path: Path | str, why: str, *, remedy: str = "Name another place.") -> None:
        super().__init__(f"cannot be written: {why}.", where=str(path), remedy=remedy)
        self.why = why
        """The reason alone."""


@contextmanager
def as_cannot_write(path: Path | str, *, remedy: str = "", inside: Path | None = None) -> Iterator[None]:
    """Turn an OSError of the block into `CannotWrite` for `path`.

    Args:
        path: The user's name for the file or folder.
        remedy: Advice in place of the general one.
        inside: Turn only errors about this file or folder, or about a write to an open file. For a block that does
            other things, too.

    Raises:
        CannotWrite: The block failed to write.
    """
    try:
        yield
    except OSError as error:
        if inside is not None and not _is_about(error, inside):
            raise
        raise CannotWrite(path, reason(error), remedy=remedy or _remedy(error)) from error
    except InputError:
        raise
    except ValueError as error:
        if inside is not None or "null" not in str(error):
            raise
        raise CannotWrite(repr(str(path)), "its name holds a null character") from error


def reason(error: OSError) -> str:
    """The system's message of an error."""
    return error.strerror or str(error) or type(error).__name__


def _is_about(error: OSError, place: Path) -> bool:
    if error.filename is None:
        return error.errno in WRITE_ERRORS
    named = Path(str(error.filename))
    return named == place or place in named.parents


def _remedy(error: OSError) -> str:
    if error.errno in NO_SPACE:
        return "Make room there, or name another place."
    if error.errno in NO_PERMISSION:
        return "Allow writing there (chmod u+w), or name another place."
    return "Name another place."
