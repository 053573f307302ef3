"""Records put aside to be read once more: in memory while they are few, then in a temporary file without a name.

The file is in the folder for temporary files (`TMPDIR`). The system removes it with the process, however that ends.
"""

import marshal
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from lalm_ambig.files.failures import as_cannot_write

MEMORY_BYTES = 64 << 20
"""Size from which on the records are in a file."""
RECORDS_AT_ONCE = 1000
REMEDY = "Make room there, or set TMPDIR to another folder."


class Spool:
    """Records in the order in which they were added. A record is a tuple of plain values (`marshal`)."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115  # closed by `__exit__`
        self._sizes: list[int] = []
        self._waiting: list[tuple[Any, ...]] = []

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: tuple[Any, ...]) -> None:
        """Add a record.

        Raises:
            CannotWrite: The temporary file cannot be written.
        """
        self._waiting.append(record)
        if len(self._waiting) == RECORDS_AT_ONCE:
            self._write()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Yield all records. Nothing may be added after that.

        Raises:
            CannotWrite: The temporary file cannot be written.
        """
        self._write()
        self._file.seek(0)
        for size in self._sizes:
            yield from marshal.loads(self._file.read(size))

    def _write(self) -> None:
        if self._waiting:
            with as_cannot_write(tempfile.gettempdir(), remedy=REMEDY):
                self._sizes.append(self._file.write(marshal.dumps(self._waiting)))
            self._waiting = []
