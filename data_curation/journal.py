"""An append-only JSON Lines file that survives a kill: complete lines, on disk before `append` returns."""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.locks import takes_lock

BLOCK = 1 << 16


class Journal:
    """A file of lines that one process holds open.

    Opening it takes an exclusive lock and drops an incomplete last line, which a killed process leaves. Lines that are
    appended at the same time share one write and one fsync (group commit).
    """

    def __init__(self, path: Path) -> None:
        """Args:
            path: The file; it is created if need be.

        Raises:
            InputError: Another process holds the file, or it cannot be opened.
        """
        self.path = path
        self.dropped_bytes = 0
        """Length of the incomplete last line that was dropped at opening."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise InputError(f"cannot be opened for writing: {error.strerror}", where=str(path)) from error
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):  # what was written is read again
            os.close(self._fd)
            raise InputError("is no regular file.", where=str(path), remedy="Name a file as --out.")
        self._lock()
        self._drop_torn_line()
        self._batch: list[bytes] = []
        self._batch_written: asyncio.Future[None] | None = None
        self._flusher: asyncio.Task[None] | None = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Each line, with `FILE:NUMBER` for messages. The file is streamed."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{self.path}:{number}", line

    async def append(self, line: str) -> None:
        """Append a line, given without its newline. Returns when it is on disk; a cancelled caller loses no line."""
        self._batch.append(line.encode() + b"\n")
        if self._batch_written is None:
            self._batch_written = asyncio.get_running_loop().create_future()
        written = self._batch_written
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await asyncio.shield(written)

    def append_now(self, line: str) -> None:
        """`append` for a program without an event loop."""
        self._write(line.encode() + b"\n")

    def close(self) -> None:
        """Write the waiting lines and release the lock."""
        if self._batch:
            self._write(b"".join(self._batch))
            self._batch = []
        os.close(self._fd)

    async def _flush(self) -> None:
        while self._batch:
            lines, self._batch = b"".join(self._batch), []
            written, self._batch_written = self._batch_written, None
            assert written is not None
            try:
                await asyncio.to_thread(self._write, lines)
            except InputError as error:
                written.set_exception(error)
            else:
                written.set_result(None)

    def _write(self, lines: bytes) -> None:
        size = os.fstat(self._fd).st_size
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, size)
            raise InputError(f"cannot be written: {error.strerror}", where=str(self.path)) from error

    def _lock(self) -> None:
        if not takes_lock(self._fd):
            os.close(self._fd)
            raise InputError(
                "another process is writing to this file.",
                where=str(self.path),
                remedy="Wait for it to end, or give another --out.",
            )

    def _drop_torn_line(self) -> None:
        size = os.fstat(self._fd).st_size
        end = size
        while end > 0:
            start = max(0, end - BLOCK)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        self.dropped_bytes = size - end
        if self.dropped_bytes:
            os.ftruncate(self._fd, end)
            os.fsync(self._fd)
