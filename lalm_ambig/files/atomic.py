"""The one writer of files: a reader sees the old file or the complete new one, even after a power cut.

Everything is written to a temporary name in the same folder, flushed to the disk, and renamed.

- A symbolic link stays: its target is replaced.
- Anything but a regular file (`/dev/stdout`, `/dev/null`, a FIFO) is written through and never replaced.
- An existing file keeps its permission bits; a read-only one is refused.
- After a failure the old file is as it was, and the temporary one is gone.
"""

import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from lalm_ambig.files.failures import CannotWrite, as_cannot_write
from lalm_ambig.files.places import Place, folder_place, place_of

__all__ = [
    "UNFINISHED",
    "CannotWrite",
    "new_folder",
    "remove_unfinished",
    "replace_folder",
    "replacing",
    "replacing_text",
    "write_bytes",
    "write_lines",
    "write_text",
]

UNFINISHED = ".unfinished-"
"""Beginning of the names of temporary files and folders."""
NAME_CHARACTERS = 60
"""Characters of a file's name in its temporary name: at four bytes each, file systems still accept it."""
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES}
"""Errors of file systems that cannot flush a file or folder on request."""


def write_text(path: Path | str, text: str) -> Path:
    r"""Write a text file in UTF-8, with its line ends as they are.

    Half of a surrogate pair has no form in UTF-8. It becomes `\ud800`, which is the same text in JSON.

    Args:
        path: The file; missing folders above it are made.
        text: Its content.

    Returns:
        The path.

    Raises:
        CannotWrite: The file cannot be written.
    """
    return write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_lines(path: Path | str, lines: Iterable[str]) -> Path:
    """Write lines, each with a line feed, without holding all of them in memory; otherwise as `write_text`."""
    with replacing_text(path) as file:
        file.writelines(f"{line}\n" for line in lines)
    return Path(path)


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write a file of bytes; otherwise as `write_text`."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
    return Path(path)


@contextmanager
def replacing(path: Path | str, *, remedy: str = "") -> Iterator[Path]:
    """Let the block, or a library that it calls, write the file `path` under a temporary name.

    Once the block ends well, the temporary file replaces `path`.

    Args:
        path: The file; missing folders above it are made.
        remedy: Advice after a failure, in place of the general one.

    Yields:
        The path of an empty temporary file with the same suffix, to be overwritten.

    Raises:
        CannotWrite: The file cannot be written. Errors of the block that are not about writing pass unchanged.
    """
    with as_cannot_write(path, remedy=remedy):
        place = place_of(path)
        unfinished = _beside(place.path.name, folder=place.folder)
        mode = _create(unfinished)
    try:
        with as_cannot_write(path, remedy=remedy, inside=unfinished):
            yield unfinished
        with as_cannot_write(path, remedy=remedy):
            _finish(unfinished, place, mode)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextmanager
def replacing_text(path: Path | str) -> Iterator[TextIO]:
    """Open a text file that takes the name `path` once the block ends well; encoded as by `write_text`."""
    with (
        replacing(path) as unfinished,
        unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file


@contextmanager
def new_folder(path: Path | str, *, remedy: str = "") -> Iterator[Path]:
    """Let the block fill a folder that takes the name `path` once the block ends well, and vanishes otherwise.

    Where another process has finished the same folder in the meantime, that one stays.

    Raises:
        CannotWrite: The folder cannot be written. Errors of the block that are not about writing pass unchanged.
    """
    with as_cannot_write(path, remedy=remedy):
        final = folder_place(path)
        unfinished = _beside(final.name, folder=final.parent)
        unfinished.mkdir()
    try:
        with as_cannot_write(path, remedy=remedy, inside=unfinished):
            yield unfinished
        with as_cannot_write(path, remedy=remedy):
            _sync_all(unfinished)
            _take_name(unfinished, final)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def replace_folder(unfinished: Path, path: Path) -> None:
    """Flush a filled folder and give it its name; a folder that has the name is replaced.

    For a folder that several processes fill: one of them calls this when all are done.

    Raises:
        CannotWrite: The folder cannot be renamed.
    """
    with as_cannot_write(path):
        _sync_all(unfinished)
        if path.is_dir():
            old = _beside(path.name, folder=path.parent)
            path.rename(old)
            unfinished.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            unfinished.rename(path)
        _sync(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Delete temporary files that killed processes left. No other process may be writing to the folder."""
    for left in folder.glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _beside(name: str, *, folder: Path) -> Path:
    """A temporary name with the beginning and suffix of `name`; libraries choose the format by the suffix."""
    suffix = Path(name).suffix
    begin, end = Path(name).stem[:NAME_CHARACTERS], suffix if len(suffix) <= NAME_CHARACTERS // 2 else ""
    return folder / f"{UNFINISHED}{begin}-{os.getpid()}-{secrets.token_hex(4)}{end}"


def _create(unfinished: Path) -> int:
    """Create the temporary file; returns the permission bits of a new file in its folder."""
    handle = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def _finish(unfinished: Path, place: Place, mode: int) -> None:
    if place.through:
        _write_through(unfinished, place)
        return
    if place.status is not None:
        mode = stat.S_IMODE(place.status.st_mode)
        with suppress(OSError):  # only a superuser may give a file to its old owner
            os.chown(unfinished, place.status.st_uid, place.status.st_gid)
    unfinished.chmod(mode)  # a library may have made the file anew with others
    _sync(unfinished)
    unfinished.replace(place.path)
    _sync(place.path.parent)


def _write_through(unfinished: Path, place: Place) -> None:
    if place.descriptor is None:
        handle = os.open(place.path, os.O_WRONLY | os.O_NOCTTY)
    else:
        sys.stdout.flush()  # what was printed before comes first
        sys.stderr.flush()
        handle = os.dup(place.descriptor)
    with unfinished.open("rb") as source, os.fdopen(handle, "wb") as out:
        shutil.copyfileobj(source, out)


def _take_name(unfinished: Path, final: Path) -> None:
    try:
        unfinished.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    _sync(final.parent)


def _sync_all(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for file in (Path(place, name) for name in names):
            if file.is_file() and not file.is_symlink():
                _sync(file)
        _sync(Path(place))


def _sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        return  # a file that may be written and not read; renaming it does not need to
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)
