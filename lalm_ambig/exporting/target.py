"""The folder of an export: checked before anything is loaded, and complete or absent at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from lalm_ambig.core.errors import InputError
from lalm_ambig.files import atomic
from lalm_ambig.files.places import check_folder


def check_target(out: Path) -> None:
    """Check that an export can be written under this name. Nothing is created.

    Raises:
        InputError: The folder exists and is not empty, or cannot be created.
    """
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"{out} exists and is not empty.", where="--out", remedy="Name a new folder, or empty that one."
        )
    check_folder(out, where="--out")


@contextmanager
def export_folder(out: Path) -> Iterator[Path]:
    """A folder to fill. It gets its name when the block ends without an error.

    Raises:
        InputError: The disk is full or fails.
    """
    try:
        with atomic.new_folder(out.absolute()) as unfinished:
            yield unfinished
    except atomic.CannotWrite as error:
        raise _unwritten(out, error.why) from error
    except OSError as error:
        if error.errno is None:  # not from the disk: transformers raises it for a wrong checkpoint
            raise
        raise _unwritten(out, error.strerror or str(error)) from error
    except SafetensorError as error:
        raise _unwritten(out, str(error)) from error


def _unwritten(out: Path, why: str) -> InputError:
    return InputError(f"cannot write {out}: {why}. Nothing is left there.", where="--out")


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
