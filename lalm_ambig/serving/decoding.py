"""Samples of uploaded sound files, from processes that may crash or be stopped without harm (`decoder`)."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lalm_ambig.serving.decoder import LENGTH
from lalm_ambig.serving.limits import Limits, Refusal

PROCESSES = 2
"""Files that are decoded at once."""
Process = subprocess.Popen[bytes]


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording in memory."""

    samples: np.ndarray
    """One channel in float32, full scale ±1."""
    rate_hz: int


class Decoders:
    """Some decoding processes. They are started when they are needed, and again where one has ended."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.started = 0
        """Processes that were started so far."""
        self._free = asyncio.Semaphore(PROCESSES)
        self._idle: list[Process] = []

    async def decode(self, content: bytes) -> Sound:
        """Decode a sound file.

        Args:
            content: The file.

        Raises:
            Refusal: It is no sound, or sound that cannot be used; or the decoder crashed or took too long.
        """
        async with self._free:
            with self._process() as process:
                try:
                    async with asyncio.timeout(self.limits.decode_s):
                        header, samples = await asyncio.to_thread(_exchange, process, content)
                except TimeoutError:
                    line = f"the sound took longer than {self.limits.decode_s:g} s to decode."
                    raise Refusal(422, line) from None
                except (OSError, EOFError, ValueError):
                    raise Refusal(422, "the sound cannot be decoded: its decoder ended.") from None
                self._idle.append(process)
        if "status" in header:
            raise Refusal(header["status"], header["line"])
        return Sound(np.frombuffer(samples, dtype="<f4"), header["rate_hz"])

    @property
    def idle(self) -> tuple[Process, ...]:
        """Processes that wait for a file."""
        return tuple(self._idle)

    @contextlib.contextmanager
    def _process(self) -> Iterator[Process]:
        """A process for one file. It is ended where it has not been put back; who talks to it then sees its end."""
        process = self._idle.pop() if self._idle else self._start()
        if process.poll() is not None:
            _end(process)
            process = self._start()
        try:
            yield process
        finally:
            if process not in self._idle:
                _end(process)

    def _start(self) -> Process:
        self.started += 1
        return subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.decoder", f"{self.limits.duration_s}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the server
        )

    def close(self) -> None:
        """End the processes that wait; one that decodes ends with its request."""
        while self._idle:
            _end(self._idle.pop())


def _exchange(process: Process, content: bytes) -> tuple[dict[str, Any], bytes]:
    """Send a file to a process and receive its samples, in a thread that waits for both."""
    assert process.stdin is not None
    process.stdin.write(LENGTH.pack(len(content)))
    process.stdin.write(content)
    process.stdin.flush()
    header = json.loads(_received(process))
    return header, _received(process)


def _received(process: Process) -> bytes:
    assert process.stdout is not None
    head = process.stdout.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    [size] = LENGTH.unpack(head)
    content = process.stdout.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _end(process: Process) -> None:
    """End a process. A thread that still talks to it sees its end first, and then lets go of the pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what could not be sent to it
            assert pipe is not None
            pipe.close()
