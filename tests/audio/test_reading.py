"""Every kind of sound file that a corpus folder has been seen to hold, and its decided treatment."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lalm_ambig.audio.inspection import MAX_S, UnusableAudio, inspect_audio, is_ignored
from lalm_ambig.audio.reading import RATE_HZ, read_audio
from lalm_ambig.core.errors import InputError


def tone(seconds: float, rate_hz: int = RATE_HZ, *, pitch_hz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(
        "float32"
    )


def pitch_of(samples: torch.Tensor) -> float:
    spectrum = torch.fft.rfft(samples).abs()
    return float(spectrum.argmax() * RATE_HZ / len(samples))


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("wav", None), ("wav", "FLOAT"), ("flac", None), ("ogg", None), ("mp3", None)]
)
def test_every_common_format_is_read_as_16_khz_mono(tmp_path: Path, suffix: str, subtype: str | None) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(0.5, 44_100), 44_100, subtype=subtype)
    samples = read_audio(path)
    assert samples.dtype == torch.float32
    assert abs(len(samples) - 0.5 * RATE_HZ) <= 2
    assert pitch_of(samples) == pytest.approx(440, abs=3)
    assert inspect_audio(path).problems == ()


@settings(max_examples=15, deadline=None)
@given(rate_hz=st.integers(6_000, 96_000), channels=st.integers(1, 6))
def test_any_rate_and_channel_count_keeps_duration_pitch_and_level(
    tmp_path_factory: pytest.TempPathFactory, rate_hz: int, channels: int
) -> None:
    path = tmp_path_factory.mktemp("rates") / "a.wav"
    soundfile.write(path, np.stack([tone(0.4, rate_hz)] * channels, axis=1), rate_hz)
    samples = read_audio(path)
    assert len(samples) / RATE_HZ == pytest.approx(0.4, rel=0.003)
    assert pitch_of(samples) == pytest.approx(440, abs=4)
    assert float(samples[1000:-1000].abs().max()) == pytest.approx(0.3, rel=0.05)


def test_channels_are_averaged_not_summed_or_dropped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(0.5), np.zeros(8000, "float32")], axis=1), RATE_HZ)
    assert float(read_audio(tmp_path / "a.wav").abs().max()) == pytest.approx(0.15, abs=0.001)


def test_max_s_reads_only_the_beginning(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.concatenate([tone(1.0), tone(1.0, pitch_hz=880)]), RATE_HZ)
    samples = read_audio(tmp_path / "a.wav", max_s=1.0)
    assert len(samples) == RATE_HZ
    assert pitch_of(samples) == pytest.approx(440, abs=2)


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def write_damaged(kind: str, path: Path) -> None:
    if kind == "empty":
        path.touch()
    elif kind == "html":
        path.write_text("\n  <!DOCTYPE html><html><body>404</body></html>")
    elif kind == "lfs":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    elif kind == "text":
        path.write_text("id,votes\n1,2\n")
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 40)
    elif kind.startswith("truncated"):
        soundfile.write(path, tone(2.0), RATE_HZ, format=kind.split()[1])
        cut(path, 0.5)
    else:
        samples = {
            "nan": tone(1.0),
            "silent": np.zeros(RATE_HZ),
            "offset": np.full(RATE_HZ, 0.2),
            "short": tone(0.09),
        }
        chosen = samples[kind].copy()
        if kind == "nan":
            chosen[100:103] = np.nan, np.inf, -np.inf
        soundfile.write(path, chosen, RATE_HZ, subtype="FLOAT")


DAMAGED = [
    ("missing", "no such file"),
    ("empty", "empty file"),
    ("html", "an HTML or XML page instead of sound"),
    ("lfs", "a Git LFS pointer instead of sound .*git lfs pull"),
    ("text", "text instead of sound"),
    ("binary", "cannot be decoded"),
    ("truncated WAV", r"truncated \(\d+ of 64000 bytes"),
    ("truncated FLAC", "cannot be decoded"),
    ("truncated AIFF", "truncated"),
    ("truncated RF64", "truncated"),
    ("truncated W64", "truncated"),
    ("truncated AU", "truncated"),
    ("nan", "NaN or infinite samples .3 of 16000."),
    ("silent", "digitally silent"),
    ("offset", "digitally silent"),
    ("short", "shorter than 0.1 s .0.090 s."),
]


@pytest.mark.parametrize(("kind", "reason"), DAMAGED, ids=[kind for kind, _ in DAMAGED])
def test_a_damaged_file_is_left_out_with_one_line_that_names_it(
    tmp_path: Path, kind: str, reason: str
) -> None:
    path = tmp_path / "clip.wav"
    if kind != "missing":
        write_damaged(kind, path)
    with pytest.raises(UnusableAudio, match=rf"clip\.wav: {reason}") as raised:
        read_audio(path)
    assert isinstance(raised.value, InputError)
    inspection = inspect_audio(path)
    assert not inspection.usable
    assert inspection.duration_s == 0
    [problem] = inspection.problems
    assert problem.line == f"{raised.value}: left out"
    assert "\n" not in problem.line


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "RF64"])
def test_sound_is_known_by_its_content_whatever_its_name_ends_with(tmp_path: Path, kind: str) -> None:
    for ending in (
        ".wav",
        ".WAV",
        ".wave",
        ".Flac",
        ".opus",
        ".mp3",
        ".raw",
        ".au",
        ".gsm",
        ".vox",
        ".txt",
        "",
    ):
        path = tmp_path / f"clip{ending}"
        with path.open("wb") as file:
            soundfile.write(file, tone(0.5), RATE_HZ, format=kind)
        assert inspect_audio(path).usable, ending
        assert len(read_audio(path)) == pytest.approx(0.5 * RATE_HZ, abs=1200)


@pytest.mark.parametrize(
    "ending", [".wav", ".WAV", ".raw", ".au", ".gsm", ".vox", ".snd", ".mp3", ".sd2", ""]
)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (np.random.default_rng(0).bytes(40_000), "cannot be decoded"),
        (bytes(40_000), "cannot be decoded"),
        (b"404: Not Found", "text instead of sound"),
        ('{"error": "né"}'.encode(), "text instead of sound"),
        ("é".encode() * 400, "text instead of sound"),
        ("words\n".encode("utf-16"), "UTF-16 text instead of sound"),
        (b"\xef\xbb\xbf\r\n<html>", "an HTML or XML page instead of sound"),
        (b"\x1f\x8b\x08\x00\x00", "a gzip archive instead of sound"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive instead of sound"),
        (b"/annex/objects/SHA256E-s9--1.wav", "a git-annex pointer instead of sound"),
    ],
)
def test_what_is_no_sound_is_none_under_any_name(
    tmp_path: Path, ending: str, content: bytes, reason: str
) -> None:
    path = tmp_path / f"clip{ending}"
    path.write_bytes(content)
    [problem] = inspect_audio(path).problems
    assert problem.line.startswith(f"{path}: {reason}")


def test_a_folder_or_a_headerless_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"\x00\x01" * 8000)
    with pytest.raises(UnusableAudio, match=r"cannot be decoded"):
        read_audio(tmp_path / "a.raw")
    with pytest.raises(UnusableAudio, match=r"cannot be opened .Is a directory."):
        read_audio(tmp_path)


def test_opposite_channels_that_cancel_are_silent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(1.0), -tone(1.0)], axis=1), RATE_HZ)
    assert inspect_audio(tmp_path / "a.wav").problems[0].kind == "digitally silent"


def test_a_quiet_file_is_not_silent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0) * 0.001, RATE_HZ)
    assert inspect_audio(tmp_path / "a.wav").usable


def test_a_header_of_unknown_length_is_no_promise(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(1.0), RATE_HZ)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    inspection = inspect_audio(path)
    assert inspection.usable
    assert inspection.duration_s == pytest.approx(1.0)


def test_a_wrong_extension_is_kept_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(1.0), RATE_HZ, format="FLAC")
    inspection = inspect_audio(path)
    assert inspection.usable
    assert inspection.duration_s == 1.0
    [problem] = inspection.problems
    assert problem.line == f"{path}: content is not what the extension says (FLAC): kept"
    assert len(read_audio(path)) == RATE_HZ


def test_a_long_file_is_cut_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.concatenate([tone(15.0, 8000)] * 3), 8000)
    inspection = inspect_audio(path)
    assert inspection.usable
    assert inspection.duration_s == MAX_S
    assert inspection.problems[0].line == f"{path}: longer than 30 s (45.0 s): kept, cut to the first 30 s"
    assert len(read_audio(path, max_s=MAX_S)) == MAX_S * RATE_HZ


def test_a_file_of_exactly_thirty_seconds_is_not_long(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(30.0, 8000), 8000)
    assert inspect_audio(tmp_path / "a.wav").problems == ()


def test_macos_leftovers_are_ignored() -> None:
    assert is_ignored("folder/._1001_DFA_ANG_XX.wav")
    assert not is_ignored("folder/1001_DFA_ANG_XX.wav")
