"""The logs of a run, and how they are taken back to a saved state, so that no step is in them twice."""

import csv
import io
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.installation import install_extra
from lalm_ambig.core.lightning_internals import KeepingWriter, set_writer
from lalm_ambig.files.atomic import write_text
from lalm_ambig.files.failures import as_cannot_write
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes.ending import ROOM
from lalm_ambig.runs.wandb_log import check_wandb, wandb_logger

METRICS = "metrics.csv"
RESPONSES = ("samples.jsonl", "rollouts.jsonl")


class AppendingWriter(KeepingWriter):
    """Lightning's writer of metrics.csv, which adds to the rows that are there and never leaves half a file."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        file = Path(self.metrics_file_path)
        if file.is_file():
            self.metrics_keys = _read(file)[0]

    def rewrite(self, fieldnames: list[str]) -> None:
        file = Path(self.metrics_file_path)
        _write(file, fieldnames, _read(file)[1])


def check_loggers(names: Sequence[str] | None, configured: Sequence[Any]) -> None:
    """Check, before anything is read, that what `--logger` names can be used.

    Args:
        names: The option's loggers beside metrics.csv; None without it.
        configured: Loggers of the configuration.

    Raises:
        InputError: A package is missing, nobody is logged in to W&B, or W&B is asked for twice.
    """
    if "tensorboard" in (names or ()) and not has_tensorboard():
        remedy = f"Run: {install_extra('tensorboard')}"
        raise InputError("the package is not installed.", where="--logger tensorboard", remedy=remedy)
    if "wandb" not in (names or ()):
        return
    if any(isinstance(logger, WandbLogger) for logger in configured):
        raise InputError(
            "trainer.logger has a WandbLogger as well, and a process has one run in W&B:",
            where="--logger wandb",
            remedy="leave one of them out.",
        )
    distributed.on_rank_zero(check_wandb)


def run_loggers(run: RunFolder, *, resumed_at: int | None, names: Sequence[str] | None = None) -> list[Any]:
    """Return Lightning's loggers of a run, which add to what `rewind_logs` has left.

    Args:
        run: The run.
        resumed_at: Optimiser steps before the state that training resumes from; None from the start.
        names: Loggers beside metrics.csv, which is always there; None for tensorboard/, if that is installed.
    """
    table = CSVLogger(run.path, name="", version="")
    if distributed.is_first():
        set_writer(table, AppendingWriter(table.log_dir))
    loggers: list[Any] = [table]
    if has_tensorboard() if names is None else "tensorboard" in names:
        loggers.append(TensorBoardLogger(run.path, name="tensorboard", version="", purge_step=resumed_at))
    if "wandb" in (names or ()):
        loggers.append(wandb_logger(run))
    return loggers


def has_tensorboard() -> bool:
    """Whether the package is installed that writes a run's tensorboard/ folder (the extra `tensorboard`)."""
    return find_spec("tensorboard") is not None


def rewind_logs(run: RunFolder, *, resumed_at: int | None) -> None:
    """Remove from a run's logs what was written after the state that training resumes from.

    Args:
        run: The run.
        resumed_at: Optimiser steps before that state; None from the start.
    """
    truncate_table(run.path / METRICS, step=resumed_at or 0)
    for name in RESPONSES:
        _cut(run.path / name, step=resumed_at)


def append_rows(file: Path, rows: Sequence[Mapping[str, Any]], *, remedy: str = ROOM) -> None:
    """Append rows to a file of JSON Lines, and let the system write them to the disk.

    Args:
        file: The file.
        rows: Objects, one per line.
        remedy: Advice after a failure.

    Raises:
        InputError: They cannot be written.
    """
    with as_cannot_write(file, remedy=remedy), file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def quiet_writer_threads() -> Iterator[None]:
    """Inside, a thread that cannot write prints no traceback: TensorBoard raises the error where it is next used."""
    before = threading.excepthook

    def say(failed: threading.ExceptHookArgs) -> None:
        if not issubclass(failed.exc_type, OSError):
            before(failed)

    threading.excepthook = say
    try:
        yield
    finally:
        threading.excepthook = before


def truncate_table(file: Path, *, step: int) -> None:
    """Keep those rows of a table of metrics that were logged before an optimiser step."""
    if not file.is_file():
        return
    head, rows = _read(file)
    earlier = [row for row in rows if row.get("step", "").isdecimal() and int(row["step"]) < step]
    if earlier:
        _write(file, head, earlier)
    else:
        file.unlink()


def _read(file: Path) -> tuple[list[str], list[dict[str, Any]]]:
    text = file.read_text(encoding="utf-8", errors="replace")
    reader = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())  # without a line that has no end
    return list(reader.fieldnames or []), [row for row in reader if None not in row.values()]


def _write(file: Path, head: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=head)
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())


def _cut(file: Path, *, step: int | None) -> None:
    """Remove lines that were written after an optimiser step, and a line without an end."""
    if not file.is_file():
        return
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    earlier = [f"{line}\n" for line in lines if step is not None and _step_of(line) <= step]
    write_text(file, "".join(earlier))


def _step_of(line: str) -> float:
    """Optimiser steps before a line of responses; infinity for a line that a power cut has broken."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return float("inf")
