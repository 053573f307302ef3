"""Places on disk: the cache, and the file that a path leads to once links are followed."""

import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.failures import CannotWrite, as_cannot_write

DESCRIPTOR = re.compile(r"/dev/fd/(\d+)|/proc/(?:self|thread-self|(\d+))(?:/task/\d+)?/fd/(\d+)")
"""A name for a file that a process has open."""
MOST_LINKS = 40
ANY_WRITE = 0o222


def cache_root() -> Path:
    """Folder for files that can be made again: `$XDG_CACHE_HOME/lalm_ambig`, by default under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lalm_ambig"


@dataclass(frozen=True)
class Place:
    """The target of a path that is written to."""

    path: Path
    """With links followed."""
    status: os.stat_result | None
    """Of the regular file at the path; None where there is none."""
    through: bool = False
    """True for a target that is written through: not a regular file, or one that this process has open."""
    descriptor: int | None = None
    """Number of the open file that the path names."""

    @property
    def folder(self) -> Path:
        """Folder of the temporary file."""
        return Path(tempfile.gettempdir()) if self.through else self.path.parent


def place_of(path: Path | str) -> Place:
    """Follow a path to its target; missing folders above it are made.

    Raises:
        CannotWrite: The target cannot be written to.
        OSError: The system refuses to look.
    """
    path = _expanded(path)
    if (descriptor := _descriptor(path)) is not None:
        return Place(path, None, through=True, descriptor=descriptor)
    try:
        status = path.stat()
    except FileNotFoundError:
        return Place(_new(path), None)
    if stat.S_ISREG(status.st_mode):
        allowed = status.st_mode & ANY_WRITE and os.access(path, os.W_OK)  # the system stops no superuser
        if not allowed:
            raise CannotWrite(
                path, "it is read-only", remedy="Allow writing (chmod u+w), or name another place."
            )
        return Place(Path(os.path.realpath(path)), status)
    for test, kind in ((stat.S_ISDIR, "a folder"), (stat.S_ISBLK, "a disk"), (stat.S_ISSOCK, "a socket")):
        if test(status.st_mode):
            raise CannotWrite(path, f"it is {kind}", remedy="Name a file.")
    return Place(path, None, through=True)


def folder_place(path: Path | str) -> Path:
    """Follow a path to the folder that will be made; missing folders above it are made.

    Raises:
        CannotWrite: There is something else at the path.
        OSError: The system refuses to look.
    """
    path = _expanded(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        return _new(path)
    if not stat.S_ISDIR(status.st_mode):
        raise CannotWrite(path, "it is there and no folder", remedy="Name a folder.")
    return Path(os.path.realpath(path))


def check_folder(out: Path, *, where: str) -> None:
    """Check before the work that a folder can be made and written to.

    Raises:
        InputError: It cannot.
    """
    with as_cannot_write(out):
        present = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    if not present.is_dir() or not os.access(present, os.W_OK | os.X_OK):
        raise InputError(
            f"cannot write to {out}: {present} is no folder that may be written to.",
            where=where,
            remedy="Name another place, or allow writing there.",
        )


def _expanded(path: Path | str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise CannotWrite(path, "no such user's home") from error


def _descriptor(path: Path) -> int | None:
    """Number of this process's open file that a path names (`/dev/stdout`), itself or through links."""
    for _ in range(MOST_LINKS):
        if match := DESCRIPTOR.fullmatch(str(path)):
            process = match[2]
            return int(match[1] or match[3]) if process in (None, str(os.getpid())) else None
        if not path.is_symlink():
            return None
        path = Path(os.path.normpath(path.parent / path.readlink()))
    return None


def _new(path: Path) -> Path:
    """Where a missing file or folder will be: at the target of a dangling link, or at the path itself."""
    if not path.is_symlink():
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(os.path.realpath(path.parent), path.name)
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():  # a disk that is not mounted, rather than a folder to be made
        raise CannotWrite(
            path,
            f"it is a link to {target}, whose folder is missing",
            remedy="Make that folder, or remove the link.",
        )
    return target
