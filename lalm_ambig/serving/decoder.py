"""The process that decodes sound files of strangers, started by `decoding` with the longest length in seconds.

It reads files from standard input and writes samples to standard output, each after its length. A file that crashes the
decoder, or that takes too long or too much memory, ends this process, and not the server.
"""

import contextlib
import json
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from lalm_ambig.audio.inspection import NOT_SOUND, UnusableAudio, load_mono
from lalm_ambig.serving.limits import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Refusal

LENGTH = struct.Struct(">Q")
MEMORY_BYTES = 4 * 1024**3
"""Address space of this process."""
NO_SOUND = ("cannot be decoded", "empty file")
"""Kinds of problems, beside `NOT_SOUND`, of a file that is no sound that can be read."""


def decoded(content: bytes, *, max_s: float) -> tuple[np.ndarray, int]:
    """Decode a sound file.

    Args:
        content: The file.
        max_s: Longest recording in seconds.

    Returns:
        The mean of its channels in float32, full scale ±1, and its rate in Hz.

    Raises:
        Refusal: 413, 415 or 422; its line names no file.
    """
    with _readable(content) as path:
        try:
            _check_header(path, max_s=max_s)
            mono, rate_hz, _ = load_mono(path, max_s=max_s + 1.0)
        except UnusableAudio as error:
            status = 415 if error.kind.endswith(NOT_SOUND) or error.kind in NO_SOUND else 422
            raise Refusal(
                status, f"the sound cannot be used: {str(error).removeprefix(f'{path}: ')}."
            ) from error
        except MemoryError as error:
            raise Refusal(413, "the sound takes more memory than a decoder may have.") from error
    if len(mono) / rate_hz > max_s:
        raise Refusal(413, _too_long(len(mono) / rate_hz, max_s))
    return mono, rate_hz


@contextlib.contextmanager
def _readable(content: bytes) -> Iterator[Path]:
    """A path under which the content can be read: a file in memory, or elsewhere than on Linux one that is deleted."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("sound")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "sound")
            path.write_bytes(content)
            yield path


def _check_header(path: Path, *, max_s: float) -> None:
    """Refuse a header of more sound than is taken, before memory is taken for it."""
    try:
        with (
            path.open("rb", buffering=0) as opened,
            soundfile.SoundFile(opened.fileno(), closefd=False) as file,
        ):
            rate_hz, channels, frames = file.samplerate, file.channels, file.frames
    except (soundfile.LibsndfileError, OSError):
        return  # load_mono says what it is
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise Refusal(422, f"the sound has a rate of {rate_hz} Hz: {MIN_RATE_HZ} to {MAX_RATE_HZ} are taken.")
    if channels > MAX_CHANNELS:
        raise Refusal(422, f"the sound has {channels} channels: at most {MAX_CHANNELS} are taken.")
    if frames / rate_hz > max_s:
        raise Refusal(413, _too_long(frames / rate_hz, max_s))


def _too_long(length_s: float, max_s: float) -> str:
    return f"the sound is {length_s:.1f} s long: at most {max_s:g} s are taken."


def main() -> None:
    """Decode what comes from standard input until it is closed."""
    _limit_memory()
    max_s = float(sys.argv[1])
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no samples
    while (content := _received(source)) is not None:
        try:
            mono, rate_hz = decoded(content, max_s=max_s)
            header: dict[str, object] = {"rate_hz": rate_hz}
            samples = mono.astype("<f4", copy=False).tobytes()
        except Refusal as refusal:
            header, samples = {"status": refusal.status, "line": refusal.line}, b""
        said = json.dumps(header).encode()
        target.write(LENGTH.pack(len(said)) + said + LENGTH.pack(len(samples)))
        target.write(samples)
        target.flush()


def _received(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    return source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    main()
