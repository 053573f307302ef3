"""The check of a sound file before training: whether a model can be given it, and what is wrong with it.

Any soundfile format, rate and channel count is accepted. `inspect_audio` looks at every file before a training starts,
so that none can stop an epoch in its middle. It sorts faults into three groups.

Refused, since a download went wrong and the user has to repeat it:
  text where sound should be (an HTML page, a Git LFS pointer, other text).
Left out, with one line that names file and reason (`reading.read_audio` raises the same line as InputError):
  missing, unreadable or empty file; content that libsndfile cannot decode; truncated (the header promises
  more than is there); NaN or infinite samples; digitally silent once mixed to mono (peak around its mean below
  SILENT_PEAK); shorter than MIN_S.
Used, with one line:
  content that differs from the extension (FLAC in a .wav); longer than MAX_S, cut to the first MAX_S.
After the first MAX_S only the header's promise is checked. Files named `._*` (macOS leftovers) are ignored.
"""

import re
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.contents import format_of

MIN_S = 0.1
"""Shortest clip that is used: below it the encoders give no audio token or one."""
MAX_S = 30.0
"""Longest clip that the encoders take."""
SILENT_PEAK = 1e-4
"""Peak (full scale 1) under which a clip is digital silence: −80 dB, three steps of a 16-bit sample."""
SILENT = "digitally silent"
"""Kind of that fault."""
MISSING_S = 0.05
"""Seconds that may be missing at the end of a file before it counts as truncated: encoders' padding is shorter."""
UNKNOWN_LENGTH_BYTES = 0x7FFF_F000
"""Smallest data size that means "not known": writers to a pipe put such sizes in the header."""

SNIFFED_BYTES = 512
NOT_SOUND = "instead of sound"
"""End of the problem kinds for which a whole corpus is refused."""
PROMISED_BYTES = re.compile(
    r"^\s*(?:data|SSND|Data Size|Riff size|riff)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE
)
"""libsndfile's log line on a size that differs from the header's (data of WAV, AIFF, AU; all of RF64, W64)."""
EXTENSION_FORMATS = {
    ".wav": {"WAV", "WAVEX", "RF64", "W64"},
    ".wave": {"WAV", "WAVEX", "RF64", "W64"},
    ".rf64": {"RF64"},
    ".w64": {"W64"},
    ".flac": {"FLAC"},
    ".ogg": {"OGG"},
    ".oga": {"OGG"},
    ".opus": {"OGG"},
    ".mp3": {"MP3", "MPEG"},
    ".aif": {"AIFF"},
    ".aiff": {"AIFF"},
    ".aifc": {"AIFF"},
    ".au": {"AU"},
    ".snd": {"AU"},
    ".caf": {"CAF"},
}
OTHER_ENDINGS = frozenset((".m4a", ".mp4", ".aac", ".wma", ".webm", ".sph", ".nist"))
"""Endings of sound that libsndfile cannot always decode: such a file is reported, not passed over."""
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks. Without one, bytes that look like UTF-16 may be samples without a header."""
SOUND_ENDINGS = OTHER_ENDINGS | EXTENSION_FORMATS.keys()
"""Endings of the names of sound files, in any case."""
BEGINNINGS = re.compile(rb"RIFF|RF64|riff|fLaC|OggS|ID3|FORM|\.snd|caff|\xff[\xe2-\xfd\xff]")
"""First bytes of sound, for a file whose name has no ending."""


class UnusableAudio(InputError):
    """A sound file that no model can be given. `kind` groups such files; the message names file and reason."""

    def __init__(self, path: Path | str, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind} ({detail})" if detail else kind, where=str(path))
        self.kind = kind


@dataclass(frozen=True)
class Problem:
    """One fault of a file, for the user."""

    kind: str
    """The same words for every file with this fault."""
    line: str
    """One line with the file, the fault and what was done."""


@dataclass(frozen=True)
class Inspection:
    """Result of `inspect_audio` for one file."""

    usable: bool
    """False where the file is left out."""
    duration_s: float
    """Seconds that a model is given, in [MIN_S, MAX_S]; 0 for an unusable file."""
    problems: tuple[Problem, ...] = ()


def is_ignored(path: Path | str) -> bool:
    """True for `._*`: macOS copies leave such files beside the sound files, and they hold no sound."""
    return Path(path).name.startswith("._")


def begins_as_sound(path: Path | str) -> bool:
    """True where a file's first bytes are those of sound; False where it cannot be opened."""
    try:
        with Path(path).open("rb") as file:
            return BEGINNINGS.match(file.read(4)) is not None
    except OSError:
        return False


def inspect_audio(path: Path | str) -> Inspection:
    """Decode the first MAX_S seconds of a file, and report duration and faults.

    An unusable file gives an `Inspection` too, never an exception.

    Args:
        path: The sound file.

    Returns:
        Whether the file is usable, its duration in seconds, and its faults.
    """
    path = Path(path)
    try:
        mono, rate_hz, header = load_mono(path, max_s=MAX_S)
    except UnusableAudio as error:
        return Inspection(usable=False, duration_s=0.0, problems=(Problem(error.kind, f"{error}: left out"),))
    problems = []
    expected = EXTENSION_FORMATS.get(path.suffix.lower())
    if expected is not None and header.format not in expected:
        kind = "content is not what the extension says"
        problems.append(Problem(kind, f"{path}: {kind} ({header.format}): kept"))
    if header.frames / rate_hz > MAX_S:
        kind = f"longer than {MAX_S:g} s"
        length = f"{header.frames / rate_hz:.1f} s"
        problems.append(Problem(kind, f"{path}: {kind} ({length}): kept, cut to the first {MAX_S:g} s"))
    return Inspection(usable=True, duration_s=min(MAX_S, len(mono) / rate_hz), problems=tuple(problems))


@dataclass(frozen=True)
class Header:
    """Header of a sound file."""

    format: str
    """libsndfile's name of the container, by content."""
    frames: int
    """Samples per channel that the header promises."""


def load_mono(path: Path, *, max_s: float | None, start_s: float = 0.0) -> tuple[np.ndarray, int, Header]:
    """Decode `max_s` seconds as mono float32: the mean of the channels.

    Args:
        path: The sound file.
        max_s: Seconds to decode; None for all.
        start_s: Seconds before them.

    Returns:
        The samples at the file's rate, that rate in Hz, and the header.

    Raises:
        UnusableAudio: No model can be given the file.
    """
    _check_is_sound(path)
    try:
        # By descriptor: with a name, libsndfile decodes anything that ends with .au or .gsm, and nothing with .raw.
        with (
            path.open("rb", buffering=0) as opened,
            soundfile.SoundFile(opened.fileno(), closefd=False) as file,
        ):
            header = Header(file.format, file.frames)
            rate_hz: int = file.samplerate
            _check_promise(path, file.extra_info)
            start = min(file.frames, round(start_s * rate_hz))
            wanted = file.frames - start
            wanted = wanted if max_s is None else min(wanted, round(max_s * rate_hz))
            if start:
                file.seek(start)
            channels = file.read(wanted, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UnusableAudio(path, "cannot be decoded", error.error_string.rstrip(".")) from error
    except OSError as error:
        raise UnusableAudio(path, "cannot be opened", error.strerror or type(error).__name__) from error
    if wanted - len(channels) > MISSING_S * rate_hz:
        raise UnusableAudio(path, "truncated", f"{len(channels)} of {wanted} samples are there")
    mono = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    check_samples(path, mono, rate_hz)
    return np.ascontiguousarray(mono), rate_hz, header


def _check_is_sound(path: Path) -> None:
    """Refuse a file that is recognised as something else without decoding it."""
    try:
        mode = stat.S_IFMT(path.stat().st_mode)
        if mode not in (stat.S_IFREG, stat.S_IFDIR):  # a pipe would be waited for, a device may never end
            raise UnusableAudio(path, "no file but a pipe, socket or device")
        with path.open("rb") as file:
            head = file.read(SNIFFED_BYTES)
    except FileNotFoundError as error:
        raise UnusableAudio(path, "no such file") from error
    except OSError as error:
        raise UnusableAudio(path, "cannot be opened", error.strerror or type(error).__name__) from error
    if not head:
        raise UnusableAudio(path, "empty file")
    if head.startswith(b"version https://git-lfs"):
        raise UnusableAudio(path, f"a Git LFS pointer {NOT_SOUND}", "fetch the files with git lfs pull")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise UnusableAudio(path, f"an HTML or XML page {NOT_SOUND}")
    if BEGINNINGS.match(head):
        return
    kind = format_of(head)
    if kind is not None and (not kind.encoding or head.startswith(WIDE_MARKS)):
        name = f"{kind.name} text" if kind.encoding else kind.name
        raise UnusableAudio(path, f"{name} {NOT_SOUND}", kind.remedy.partition(":")[0].rstrip(".").lower())
    if _is_text(head):
        raise UnusableAudio(path, f"text {NOT_SOUND}")


def _is_text(head: bytes) -> bool:
    """True for printable bytes: lines of any encoding, or one line of UTF-8, cut or not."""
    if not all(byte in b"\t\n\r" or byte >= 32 for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return b"\n" in head or error.end == len(head) > error.start > 0
    return True


def _check_promise(path: Path, log: str) -> None:
    """Refuse a file with fewer bytes of sound than its header promises."""
    for promised, present in PROMISED_BYTES.findall(log):
        if int(present) < int(promised) < UNKNOWN_LENGTH_BYTES:
            raise UnusableAudio(path, "truncated", f"{present} of {promised} bytes of sound are there")


def check_samples(path: Path | str, mono: np.ndarray, rate_hz: int) -> None:
    """Check that samples can be given to a model.

    Args:
        path: The sound file, or another name for errors.
        mono: The samples, full scale 1.
        rate_hz: Their rate.

    Raises:
        UnusableAudio: They are too short, not finite, or digitally silent.
    """
    if len(mono) < MIN_S * rate_hz:
        raise UnusableAudio(path, f"shorter than {MIN_S:g} s", f"{len(mono) / rate_hz:.3f} s")
    wrong = int((~np.isfinite(mono)).sum())
    if wrong:
        raise UnusableAudio(path, "NaN or infinite samples", f"{wrong} of {len(mono)}")
    if float(np.abs(mono - mono.mean()).max()) < SILENT_PEAK:
        raise UnusableAudio(path, SILENT, f"peak below {SILENT_PEAK:g}")
