"""Samples of uploaded sound files, from processes that may crash or be stopped without harm (`decoder`)."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lalm_ambig.serving.decoder import LENGTH
from lalm_ambig.serving.limits import Limits, Refusal

PROCESSES = 2
"""Files that are decoded at once."""


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
        self._all: set[Process] = set()

    async def decode(self, content: bytes) -> Sound:
        """Decode a sound file.

        Args:
            content: The file.

        Raises:
            Refusal: It is no sound, or sound that cannot be used; or the decoder crashed or took too long.
        """
        async with self._free, self._process() as process:
            try:
                async with asyncio.timeout(self.limits.decode_s):
                    header, samples = await _exchange(process, content)
            except TimeoutError:
                line = f"the sound took longer than {self.limits.decode_s:g} s to decode."
                raise Refusal(422, line) from None
            except (asyncio.IncompleteReadError, ConnectionError, ValueError):
                raise Refusal(422, "the sound cannot be decoded: its decoder ended.") from None
            self._idle.append(process)
        if "status" in header:
            raise Refusal(header["status"], header["line"])
        return Sound(np.frombuffer(samples, dtype="<f4"), header["rate_hz"])

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[Process]:
        """A process for one file. It is ended where it has not been put back, whatever happened."""
        process = self._idle.pop() if self._idle else await self._start()
        if process.returncode is not None:
            self._all.discard(process)
            process = await self._start()
        try:
            yield process
        finally:
            if process not in self._idle:
                self._all.discard(process)
                await _end(process)

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __package__ + ".decoder", f"{self.limits.duration_s}"),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the server
        )
        self.started += 1
        self._all.add(process)
        return process

    async def close(self) -> None:
        """End all processes."""
        self._idle = []
        for process in list(self._all):
            await _end(process)
        self._all = set()


async def _exchange(process: Process, content: bytes) -> tuple[dict[str, Any], bytes]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(LENGTH.pack(len(content)))
    process.stdin.write(content)
    await process.stdin.drain()
    header = await process.stdout.readexactly(*LENGTH.unpack(await process.stdout.readexactly(LENGTH.size)))
    samples = await process.stdout.readexactly(*LENGTH.unpack(await process.stdout.readexactly(LENGTH.size)))
    return json.loads(header), samples


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()
