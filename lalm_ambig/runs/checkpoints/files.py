"""Files of checkpoints, each complete or not there: it is written under another name, read back, and renamed."""

import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import UNFINISHED, CannotWrite, remove_unfinished, replace_folder, replacing

FAILED = (OSError, RuntimeError, SafetensorError)
"""Exceptions of writing; torch may report a full disk as a RuntimeError."""
OS_ERROR = re.compile(r"I/O error: (.+?) \(os error")


class VerifiedCheckpointIO(TorchCheckpointIO):
    """Lightning's way of writing a checkpoint, with the file read back. A failure is an InputError."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        def write(unfinished: Path) -> None:
            with unfinished.open("wb") as file:  # by its name, torch hides why the system refuses
                torch.save(checkpoint, file)

        _written(Path(path), write)

    def load_checkpoint(self, path: Any, *args: Any, **named: Any) -> dict[str, Any]:
        """Read a checkpoint of tensors and plain values.

        Raises:
            InputError: It holds anything else, of which nothing is run.
        """
        try:
            loaded: dict[str, Any] = super().load_checkpoint(path, *args, **named)
        except pickle.UnpicklingError as error:
            raise InputError(
                "it holds more than tensors and plain values; nothing in it was run.",
                where=str(path),
                remedy="Go on only from a state that this run wrote.",
            ) from error
        return loaded


def write_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, in the first process. Every process must call.

    Args:
        path: The file.
        weights: Tensors by name.

    Raises:
        InputError: It cannot be written.
    """
    distributed.on_rank_zero(lambda: _written(path, lambda unfinished: save_file(weights, unfinished)))


def write_checkpoint_folder(path: Path, save: Callable[[Path], None]) -> None:
    """Write a checkpoint that is a folder, into which every process writes.

    Args:
        path: The folder.
        save: Fills a folder, which then gets its name.

    Raises:
        InputError: It cannot be written.
    """
    unfinished = path.with_name(f"{UNFINISHED}{path.name}")
    distributed.on_rank_zero(
        lambda: report_failure(path, lambda: shutil.rmtree(unfinished, ignore_errors=True))
    )
    report_failure(path, lambda: save(unfinished))
    distributed.barrier()

    def finish() -> None:
        if not is_readable(unfinished):
            raise OSError("what was written cannot be read back")
        replace_folder(unfinished, path)

    distributed.on_rank_zero(lambda: report_failure(path, finish))


def is_readable(path: Path) -> bool:
    """Whether every file of a checkpoint can be read to its last byte. Checksums are compared, not contents."""
    files = [file for file in path.rglob("*") if file.suffix == ".pt"] if path.is_dir() else [path]
    return bool(files) and all(_is_whole_file(file) for file in files)


def _is_whole_file(path: Path) -> bool:
    try:
        if path.suffix == ".safetensors":
            load_file(path)
            return True
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, SafetensorError, zipfile.BadZipFile):
        return False


def remove(path: Path) -> None:
    """Delete a checkpoint, a file or folder. It is renamed first, so that no half of it keeps its name."""
    going = path.with_name(f"{UNFINISHED}{path.name}")
    path.rename(going)
    if going.is_dir():
        shutil.rmtree(going, ignore_errors=True)
    else:
        going.unlink()


def _written(path: Path, write: Callable[[Path], None]) -> None:
    def attempt() -> None:
        remove_unfinished(path.parent)  # only this process writes there
        with replacing(path) as unfinished:
            write(unfinished)
            if not _is_whole_file(unfinished):
                raise OSError("what was written cannot be read back")

    report_failure(path, attempt)


def report_failure(path: Path, attempt: Callable[[], None]) -> None:
    """Write something of a run.

    Args:
        path: The file or folder that the message names.
        attempt: Writes it.

    Raises:
        InputError: The machine cannot.
    """
    try:
        attempt()
    except (CannotWrite, *FAILED) as error:
        raise InputError(
            f"cannot write {path.name}: {_why(error)}.",
            where=str(path.parent),
            remedy="Make room there or allow writing; the last checkpoint is kept; the same command goes on from it.",
        ) from error


def _why(error: BaseException) -> str:
    """Return the system's own reason. Safetensors puts it into a sentence, and torch fails again on closing."""
    first = error
    while first.__context__ is not None and not isinstance(first, CannotWrite):
        first = first.__context__
    if isinstance(first, CannotWrite):
        return first.why
    told = OS_ERROR.search(str(first))
    return (isinstance(first, OSError) and first.strerror) or (told[1] if told else str(error))
