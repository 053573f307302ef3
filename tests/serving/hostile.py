"""Sixty-one files that a server should not be given, each with the statuses that are right for it."""

import base64
import gzip
import io
import os
import struct
import zipfile
from collections.abc import Iterator

import numpy as np
import soundfile

RATE_HZ = 16_000
NOISE = np.random.default_rng(0).integers(0, 255, 16_000).astype(np.uint8).tobytes()


def tone(seconds: float, *, rate_hz: int = RATE_HZ, channels: int = 1) -> np.ndarray:
    """A tone with some noise."""
    count = round(seconds * rate_hz)
    noise = np.random.default_rng(1).normal(0, 0.02, (count, channels))
    return (0.3 * np.sin(np.arange(count) / 9)[:, None] + noise).astype(np.float32)


def sound_file(
    samples: np.ndarray, rate_hz: int = RATE_HZ, *, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """A sound file in memory."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


def wav(
    *, rate_hz: int = RATE_HZ, channels: int = 1, bits: int = 16, data: bytes = NOISE, said: int | None = None
) -> bytes:
    """A WAV file whose header says what it is told to say."""
    said = len(data) if said is None else said
    block = max(1, channels * bits // 8)
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, (rate_hz * block) % 2**32, block % 2**16, bits)
    size = min(2**32 - 1, 36 + said)
    return (
        b"RIFF"
        + struct.pack("<I", size)
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", said)
        + data
    )


def changed(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def uploads() -> Iterator[tuple[str, bytes, set[int]]]:
    """Name, content and right statuses of each file. The limits are 1 MB and 10 s."""
    good = sound_file(tone(0.5))
    unfit, no_sound, too_large = {422}, {415}, {413}
    yield "empty", b"", {400}
    yield "one byte", b"\0", no_sound
    yield "zeros", bytes(5000), no_sound
    yield "random", os.urandom(5000), no_sound
    yield "text", b"this is no sound\n" * 20, no_sound
    yield "html", b"<!doctype html><script>alert(1)</script>", no_sound
    yield "xml bomb", b'<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "aaaa">]><z>&a;</z>', no_sound
    yield "lfs pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", no_sound
    yield "playlist", b"#EXTM3U\nfile:///etc/passwd\n", no_sound
    yield "a path", b"/etc/passwd", no_sound
    yield "zip", zipped(b"0" * 500_000), no_sound
    yield "gzip of a wav", gzip.compress(good), no_sound
    yield "png", b"\x89PNG\r\n\x1a\n" + bytes(300), no_sound
    yield "pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(300), no_sound
    yield "elf", b"\x7fELF" + bytes(500), no_sound
    yield "mp4", b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42isom" + bytes(500), no_sound
    yield "webm", b"\x1aE\xdf\xa3" + os.urandom(500), no_sound
    yield "pickle", b"\x80\x04\x95" + bytes(50), no_sound
    yield "base64 of a wav", base64.b64encode(good), no_sound
    yield "riff alone", b"RIFF", no_sound
    yield "riff of avi", b"RIFF\0\0\0\0AVI LIST" + bytes(200), no_sound
    yield "wav header alone", good[:44], unfit | no_sound
    yield "half of a wav", good[: len(good) // 2], unfit
    yield "a wav's end", good[44:], no_sound
    yield "rate 0", wav(rate_hz=0), unfit | no_sound
    yield "rate 1", wav(rate_hz=1), unfit | too_large
    yield "rate 4 GHz", wav(rate_hz=2**32 - 1), unfit | no_sound
    yield "0 channels", wav(channels=0), unfit | no_sound
    yield "1024 channels", wav(channels=1024, data=bytes(2048) * 20), unfit | no_sound
    yield "65535 channels", wav(channels=65535), unfit | no_sound
    yield "0 bits", wav(bits=0), unfit | no_sound
    yield "1 GB said", wav(said=2**30), unfit
    yield "2 GB said, as writers to a pipe do", wav(said=2**31 - 100), {200}
    yield "4 GB said, as writers to a pipe do", wav(said=2**32 - 1), {200}
    yield "nothing said", wav(said=0), unfit
    yield "silence", sound_file(np.zeros((8000, 1))), unfit
    yield "a constant", sound_file(np.full((8000, 1), 0.5)), unfit
    yield "one sample", sound_file(tone(0.5)[:1]), unfit
    yield "a twentieth of a second", sound_file(tone(0.05)), unfit
    yield "not a number", sound_file(np.full((8000, 1), np.nan, np.float32), subtype="FLOAT"), unfit
    yield "infinite", sound_file(np.full((8000, 1), np.inf, np.float32), subtype="FLOAT"), unfit
    yield (
        "one infinite",
        sound_file(np.vstack([tone(0.5), [[-np.inf]]]).astype(np.float32), subtype="FLOAT"),
        unfit,
    )
    yield "1e30", sound_file(tone(0.5) * np.float32(1e30), subtype="FLOAT"), unfit
    yield "denormal", sound_file(tone(0.5) * np.float32(1e-40), subtype="FLOAT"), unfit
    yield "11 seconds", sound_file(tone(11.0)), too_large
    yield (
        "an hour of silence in flac",
        sound_file(np.zeros((3600 * 8000, 1), np.int16), 8000, kind="FLAC"),
        too_large,
    )
    flac = sound_file(tone(0.5), kind="FLAC")
    yield "flac header alone", flac[:42], unfit | no_sound
    yield "flac cut", flac[: len(flac) // 3], unfit | no_sound
    yield "flac of unknown length", changed(flac, 21, bytes(5)), {200, 415, 422, 413}
    yield "flac that says more", changed(flac, 22, b"\xff\xff\xff\xff"), unfit | too_large
    yield "flac with noise in it", changed(flac, len(flac) // 2, os.urandom(200)), {200, 415, 422}
    ogg = sound_file(tone(0.5), kind="OGG")
    yield "ogg cut", ogg[: len(ogg) // 2], {200, 415, 422}
    yield "ogg with noise in it", changed(ogg, 200, os.urandom(300)), {200, 415, 422}
    yield "mp3 sync words", b"\xff\xfb\x90\x00" * 500, {415, 422}
    yield "id3 of 256 MB", b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(500), no_sound | unfit
    yield "aiff header", b"FORM\0\0\0\x20AIFFCOMM\0\0\0\x12" + bytes(30), no_sound | unfit
    yield (
        "au of unknown length",
        b".snd" + struct.pack(">5I", 24, 2**32 - 1, 3, 2**31, 1) + bytes(900),
        no_sound | unfit,
    )
    yield "caf", b"caff\0\1\0\0desc" + bytes(200), no_sound | unfit
    yield "rf64", b"RF64\xff\xff\xff\xffWAVEds64" + bytes(200), no_sound | unfit
    yield "two files in one", good + good, {200, 415}
    yield "more than 1 MB", bytes(1024 * 1024 + 1), too_large


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../etc/passwd", content)
    return file.getvalue()
