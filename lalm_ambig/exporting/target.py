"""The folder that an export is written to: refused early where it cannot be, and whole or absent in the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from lalm_ambig.core.errors import InputError
from lalm_ambig.files import atomic
from lalm_ambig.files.places import check_folder


def check_target(out: Path) -> None:
    """InputError where nothing can be written under that name. Nothing is made yet."""
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"{out} exists and is not empty.", where="--out", remedy="Name a new folder, or empty that one."
        )
    check_folder(out, where="--out")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name once the block ends well; InputError for a full or failing disk."""
    try:
        with atomic.new_folder(out.absolute()) as unfinished:
            yield unfinished
    except atomic.CannotWrite as error:
        raise _unwritten(out, error.why) from error
    except OSError as error:
        if error.errno is None:  # not from the disk: transformers' word for a checkpoint that is wrong
            raise
        raise _unwritten(out, error.strerror or str(error)) from error
    except SafetensorError as error:
        raise _unwritten(out, str(error)) from error


def _unwritten(out: Path, why: str) -> InputError:
    return InputError(f"cannot write {out}: {why}. Nothing is left there.", where="--out")


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def readable_size(count: int) -> str:
    """A number of bytes for people, in decimal units."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
