"""Sound files that were decoded before and are usable: a check that was killed goes on where it was.

They are on disk in parts. Each is a JSON object of path → [size, time, seconds, problems], written once it is complete,
and never changed. A file of another size or time is decoded again, and so is one that was not usable.
"""

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from lalm_ambig.audio import inspection
from lalm_ambig.audio.inspection import Inspection, Problem
from lalm_ambig.files import contents
from lalm_ambig.files.atomic import CannotWrite, write_text

FILES_AT_ONCE = 4096
"""Files of a part."""
DIGITS = 16


class Inspections:
    """The results for the files of one corpus."""

    def __init__(self, cache: Path, *, name: str, root: Path) -> None:
        """Args:
        cache: Folder for results.
        name: Of the corpus.
        root: Of the corpus; other splits, parts and labels of it share the results.
        """
        key = hashlib.sha256(str(root).encode())
        for module in (inspection, contents):  # another version may find other faults
            key.update(Path(str(module.__file__)).read_bytes())
        self.folder = cache / f"{name}-sounds-{key.hexdigest()[:DIGITS]}"
        self._rows: dict[str, list[Any]] = {}
        self._new: dict[str, list[Any]] = {}
        for part in sorted(self.folder.glob("[0-9]*.json")):  # a later one has the newer result for a file
            self._rows |= json.loads(part.read_text(encoding="utf-8"))

    def __enter__(self) -> "Inspections":
        return self

    def __exit__(self, *_: object) -> None:
        """Write the new results, also after an interruption."""
        self.write()

    def stamp(self, path: str) -> tuple[int, int] | None:
        """Size and time of a file; None where it cannot be had."""
        try:
            status = os.stat(path)  # noqa: PTH116 (no Path a file: there are hundreds of thousands)
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def earlier(self, path: str, stamp: tuple[int, int] | None) -> Inspection | None:
        """The result for a file that has not changed; None without one.

        Args:
            path: The file.
            stamp: Its `stamp` now.
        """
        row = self._rows.get(path)
        if stamp is None or row is None or (row[0], row[1]) != stamp:
            return None
        return Inspection(usable=True, duration_s=row[2], problems=tuple(Problem(*one) for one in row[3]))

    def add(self, path: str, stamp: tuple[int, int] | None, result: Inspection) -> None:
        """Note a result.

        Args:
            path: The file.
            stamp: Its `stamp` before it was opened.
            result: What was found.
        """
        if stamp is None or not result.usable:
            return
        self._new[path] = [*stamp, result.duration_s, [[one.kind, one.line] for one in result.problems]]
        if len(self._new) >= FILES_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write the new results."""
        if self._new:
            with suppress(CannotWrite):  # without them, only a killed check costs more
                write_text(
                    self.folder / f"{time.time_ns()}-{secrets.token_hex(4)}.json", json.dumps(self._new)
                )
            self._new = {}
