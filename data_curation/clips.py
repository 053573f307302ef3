"""A clip as it is uploaded: mono 16-bit WAV in base64, at the sample rate of the file."""

import base64
import hashlib
import io
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import soundfile

from lalm_ambig.core.errors import InputError

MAX_S = 30.0
"""Seconds of a clip that are uploaded: as much as the trained models will hear."""
ENCODING = f"wav pcm16 mono, first {MAX_S:g} s"
"""How the uploaded sound is made from the file's bytes. It is part of the content address, like their hash."""
SILENCE_RATE_HZ = 16_000


@dataclass(frozen=True)
class Clip:
    """The bytes of a sound file. Everything derived from them is computed when it is first used."""

    data: bytes
    name: str
    """Path relative to the corpus, for messages."""

    @cached_property
    def sha256(self) -> str:
        """Hash of the file's bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def duration_s(self) -> float:
        """Seconds that are uploaded, at most `MAX_S`."""
        with self._open() as file:
            return float(min(MAX_S, file.frames / file.samplerate))

    @cached_property
    def wav_base64(self) -> str:
        """The WAV file in base64.

        Raises:
            InputError: libsndfile cannot decode the sound.
        """
        with self._open() as file:
            try:
                samples = file.read(int(MAX_S * file.samplerate), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise InputError(f"cannot be decoded: {error}", where=self.name) from error
            return _encode(samples.mean(axis=1), file.samplerate)

    def _open(self) -> soundfile.SoundFile:
        try:
            return soundfile.SoundFile(io.BytesIO(self.data))
        except soundfile.LibsndfileError as error:
            raise InputError("cannot be decoded, is it a sound file?", where=self.name) from error


def open_clip(path: Path, *, root: Path) -> Clip:
    """Read the bytes of a clip. Nothing is decoded yet.

    Args:
        path: The sound file.
        root: Folder of the corpus.

    Raises:
        InputError: The file cannot be read.
    """
    name = relative_name(path, root=root)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
            raise InputError("cannot be read: no file but a pipe, socket or device", where=name)
        return Clip(path.read_bytes(), name)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=name) from error


def relative_name(path: Path, *, root: Path) -> str:
    """Path relative to the corpus; for a file outside of it only its name, so that no home folder is shown."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


@cache
def silence_base64() -> str:
    """One second of digital silence, for a model that refuses a message without sound."""
    return _encode(np.zeros(SILENCE_RATE_HZ, dtype=np.float32), SILENCE_RATE_HZ)


def _encode(samples: np.ndarray, rate_hz: int) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
