"""Paths that a corpus names: they must stay in its folder, also after every link is followed.

A corpus comes from somebody else. The files that it names are read, shown and (by curation) sent to a server. So no
name with `..`, no absolute path and no link to a private file may lead out of the user's folder.
"""

import os
import re
from pathlib import Path

from lalm_ambig.audio.inspection import SOUND_ENDINGS, begins_as_sound, is_ignored
from lalm_ambig.core.errors import InputError

REMEDY = "--data.corpus.init_args.allow_outside true (or --option allow_outside=true) accepts such paths."
SNAPSHOT = re.compile(r"datasets--[^/]+/snapshots/[0-9a-f]{40}")
"""Names of a dataset's folder in the hub's cache, of its snapshots, and of one commit."""
SHOWN = 200
"""Characters of a path that a message shows."""


class Enclosure:
    """A folder that files must not lead out of. The folder itself may be a link, or be reached through one.

    Links of each parent folder are followed once, so that a file costs one system call.
    """

    def __init__(self, folder: Path | str, *, allow_outside: bool = False) -> None:
        """Args:
        folder: Folder of the corpus.
        allow_outside: Accept every path.
        """
        self.folder = str(folder)
        self.allow_outside = allow_outside
        self._prefixes = tuple(f"{path}{os.sep}" for path in (os.path.realpath(folder), *_blobs(folder)))
        self._inside: dict[str, bool] = {}

    def target(self, path: str) -> str | None:
        """The target of a path that leads out of the folder; None for a path inside. It need not exist."""
        parent = path.rpartition(os.sep)[0]
        if os.path.islink(path):  # noqa: PTH114 (no Path a file: there are hundreds of thousands)
            target = os.path.realpath(path)
            return None if target.startswith(self._prefixes) else target
        if parent not in self._inside:
            self._inside[parent] = f"{os.path.realpath(parent)}{os.sep}".startswith(self._prefixes)
        return None if self._inside[parent] else os.path.realpath(path)

    def check(self, path: str, *, where: str) -> None:
        """Check that a file or folder stays inside, unless all paths are accepted.

        Raises:
            InputError: It leads out.
        """
        target = None if self.allow_outside else self.target(path)
        if target is not None:
            leads = f"{path[:SHOWN]} leads to {target[:SHOWN]}, outside of {self.folder}."
            raise InputError(leads, where=where, remedy=REMEDY)

    def sounds(self, folder: Path, *, where: str) -> dict[str, str]:
        """Find every sound file directly in a folder.

        A name may have any ending of sound files, in any case, or none where the content is sound. Leftovers of macOS
        are skipped.

        Args:
            folder: Where to look.
            where: Place for the error.

        Returns:
            Stem → path, sorted by stem.

        Raises:
            InputError: The folder or a file leads out, or two files have one stem.
        """
        if str(folder) != self.folder:
            self.check(str(folder), where=where)
        names: dict[str, str] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                if (stem := sound_stem(entry)) is None:
                    continue
                if entry.is_symlink():
                    self.check(entry.path, where=where)
                if stem in names:
                    both = " and ".join(sorted((names[stem], entry.name)))
                    wrong = f"two sound files for {stem}: {both} in {folder}."
                    raise InputError(wrong, where=where, remedy="Move one of them away.")
                names[stem] = entry.name
        return {stem: f"{folder}/{names[stem]}" for stem in sorted(names)}


def _blobs(folder: Path | str) -> list[str]:
    """The folder of contents that the files of a hub's snapshot are links to; none for any other folder.

    The hub's cache is `…/datasets--owner--name/{snapshots/COMMIT,blobs}`. A dataset cannot hold links itself.
    """
    parents = [Path(os.path.realpath(folder)), *Path(os.path.realpath(folder)).parents]
    for commit, snapshots, store in zip(parents, parents[1:], parents[2:], strict=False):
        blobs = store / "blobs"
        if SNAPSHOT.fullmatch(f"{store.name}/{snapshots.name}/{commit.name}") and not blobs.is_symlink():
            return [str(blobs)]
    return []


def sound_stem(entry: os.DirEntry[str]) -> str | None:
    """The stem of a directory entry that is a sound file; None for any other entry."""
    name = entry.name
    stem, dot, ending = name.rpartition(".")
    if not dot:
        return name if entry.is_file() and begins_as_sound(entry.path) else None
    if f".{ending.lower()}" not in SOUND_ENDINGS or is_ignored(name):
        return None
    return stem


class Siblings:
    """Folder listings that find a clip by its stem, whatever its ending or the ending's case."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self._by_stem: dict[str, dict[str, list[str]]] = {}

    def path(self, path: str, *, where: str) -> str:
        """The path of a named file, or of the one sound file with its stem where no file has that name.

        A missing file keeps its path: its reader reports it.

        Raises:
            InputError: Two sound files have the stem.
        """
        folder, _, name = path.rpartition(os.sep)
        if folder not in self._names:
            self._names[folder] = _listing(folder)
        if name in self._names[folder]:
            return path
        stem = _stem(name)
        if folder not in self._by_stem:
            self._by_stem[folder] = _by_stem(self._names[folder])
        others = list(self._by_stem[folder].get(stem, []))
        if stem != name and stem in self._names[folder] and begins_as_sound(f"{folder}{os.sep}{stem}"):
            others.append(stem)
        if len(others) > 1:
            raise InputError(
                f"there is no {name}, but {' and '.join(sorted(others))}: name one of them", where=where
            )
        return f"{folder}{os.sep}{others[0]}" if others else path


def _listing(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 (names, no Path a file)
    except OSError:
        return frozenset()


def _stem(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in SOUND_ENDINGS else name


def _by_stem(names: frozenset[str]) -> dict[str, list[str]]:
    stems: dict[str, list[str]] = {}
    for name in names:
        if not is_ignored(name) and (stem := _stem(name)) != name:
            stems.setdefault(stem, []).append(name)
    return stems
