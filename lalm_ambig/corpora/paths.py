"""Where the files that a corpus names may lie: in its folder, also once every link on the way is followed.

A corpus comes from somebody else, and what it names is read, shown and (by curation) sent to a server. So a name with
`..`, an absolute path, or a link to a private file must not reach beyond the folder that the user gave.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from lalm_ambig.errors import InputError

REMEDY = "--data.corpus.init_args.allow_outside true (or --option allow_outside=true) accepts such paths."
SHOWN = 200
"""Characters of a path that a message shows."""


class Enclosure:
    """A folder that files must not lead out of. The folder itself may be a link, or lie behind one.

    Each folder on the way is followed once, so that a file costs one look at whether it is a link.
    """

    def __init__(self, folder: Path | str, *, allow_outside: bool = False) -> None:
        """
        Args:
            folder: The corpus's own.
            allow_outside: Accept everything.
        """
        self.folder = str(folder)
        self.allow_outside = allow_outside
        self._prefix = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 (ends with a separator)
        self._inside: dict[str, bool] = {}

    def target(self, path: str) -> str | None:
        """Where a path outside of the folder leads; None for one inside. It need not exist."""
        parent = path.rpartition(os.sep)[0]
        if os.path.islink(path):  # noqa: PTH114 (no Path a file: there are hundreds of thousands)
            target = os.path.realpath(path)
            return None if target.startswith(self._prefix) else target
        if parent not in self._inside:
            self._inside[parent] = f"{os.path.realpath(parent)}{os.sep}".startswith(self._prefix)
        return None if self._inside[parent] else os.path.realpath(path)

    def check(self, path: str, *, where: str) -> None:
        """InputError for a file or folder that leads out, unless all are accepted."""
        target = None if self.allow_outside else self.target(path)
        if target is not None:
            leads = f"{path[:SHOWN]} leads to {target[:SHOWN]}, outside of {self.folder}."
            raise InputError(leads, where=where, remedy=REMEDY)

    def listed(self, folder: Path, ending: str, *, where: str) -> Iterator[str]:
        """Names of what is right in a folder with that ending; InputError where the folder or one of them leads out.

        Only links among them are followed: the listing says which are.
        """
        self.check(str(folder), where=where)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(ending):
                    if entry.is_symlink():
                        self.check(entry.path, where=where)
                    yield entry.name
