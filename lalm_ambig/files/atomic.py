"""The one writer of files: a reader sees the old file or the whole new one, after a power cut too.

Everything is written to a temporary name in the same folder, brought to the disk, and renamed.

- A symbolic link stays: what it points to is replaced.
- What is no regular file (`/dev/stdout`, `/dev/null`, a FIFO) is written through and never replaced.
- An existing file keeps its permission bits; one that nobody may write is refused.
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
"""How the names of temporary files and folders begin."""
NAME_CHARACTERS = 60
"""Characters of a file's name in its temporary one: four bytes each still leave a name that file systems take."""
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES}
"""What file systems say that cannot bring a file or folder to the disk on request."""


def write_text(path: Path | str, text: str) -> Path:
    """Write a text file in UTF-8, its line ends as they are; returns the path. Raises `CannotWrite`.

    Half of a surrogate pair, which UTF-8 has no form for, becomes `\\ud800`: in JSON that is the same text.
    """
    return write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_lines(path: Path | str, lines: Iterable[str]) -> Path:
    """Write lines, each with a line feed at its end, without holding all of them; otherwise as `write_text`."""
    with replacing_text(path) as file:
        file.writelines(f"{line}\n" for line in lines)
    return Path(path)


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write a file of bytes; returns the path. Raises `CannotWrite`."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
    return Path(path)


@contextmanager
def replacing(path: Path | str, *, remedy: str = "") -> Iterator[Path]:
    """Let the block, or a library that it calls, write the file `path` under a temporary name.

    Args:
        path: What to write; missing folders above it are made.
        remedy: What to do where writing fails, in place of the general advice.

    Yields a path with the same suffix, to an empty file that is to be overwritten. Once the block ends well, its
    content becomes that of `path`. Raises `CannotWrite`; an error of the block that is not about writing passes.
    """
    with as_cannot_write(path, remedy=remedy):
        place = place_of(path)
        unfinished = _beside(place.path.name, folder=place.folder)
        mode = _made(unfinished)
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

    Where another process has finished the same folder in the meantime, that one stays. Raises as `replacing`.
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
    """Give a filled folder its name, on the disk and in place of a folder that has it. Raises `CannotWrite`.

    For a folder that several processes fill: one of them calls this when all are done.
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
    """Delete what processes that were killed have left in a folder into which no other process writes now."""
    for left in folder.glob(f"{UNFINISHED}*"):
        with suppress(OSError):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _beside(name: str, *, folder: Path) -> Path:
    """A temporary name with the beginning of a name and its suffix, by which libraries know a format."""
    suffix = Path(name).suffix
    begin, end = Path(name).stem[:NAME_CHARACTERS], suffix if len(suffix) <= NAME_CHARACTERS // 2 else ""
    return folder / f"{UNFINISHED}{begin}-{os.getpid()}-{secrets.token_hex(4)}{end}"


def _made(unfinished: Path) -> int:
    """Make the temporary file; returns the permission bits that a new file gets here."""
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
    """Bring a file's content, or a folder's names, to the disk."""
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
