"""Claims on the runs of a study, so that several processes can share its work. A process that ends loses its claims."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lalm_ambig.files.failures import as_cannot_write
from lalm_ambig.files.locks import takes_lock

FOLDER = ".claims"
"""Folder of the locked files, below the root of a study."""


@contextmanager
def claimed(root: Path, name: str) -> Iterator[bool]:
    """Claim a run for the time of the block, if no other process has it.

    Args:
        root: Folder of the study.
        name: Name of the run.

    Yields:
        Whether the run is this process's now. If not, another process makes it.

    Raises:
        CannotWrite: The root cannot be written to.
    """
    path = root / FOLDER / name
    with as_cannot_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        yield takes_lock(file.fileno())
