"""What a run writes as it goes, and how it is taken back to a saved state, so that no step stands there twice."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from lalm_ambig import parallel
from lalm_ambig.cache import write_whole
from lalm_ambig.runs.folder import RunFolder

METRICS = "metrics.csv"
RESPONSES = ("samples.jsonl", "rollouts.jsonl")


class Appending(ExperimentWriter):
    """Lightning's writer of metrics.csv, which goes on behind the rows that are there, and never leaves half a file."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir=log_dir)
        file = Path(self.metrics_file_path)
        if file.is_file():
            self.metrics_keys = _read(file)[0]

    def _check_log_dir_exists(self) -> None:
        """Nothing: Lightning's would delete the rows."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        file = Path(self.metrics_file_path)
        _write(file, fieldnames, _read(file)[1])


def run_loggers(run: RunFolder, *, resumed_at: int | None) -> list[Any]:
    """Lightning's loggers of a run: metrics.csv and tensorboard/, with what was logged before the state that training
    goes on from (after so many optimiser steps; None: from the start)."""
    table = CSVLogger(run.path, name="", version="")
    if parallel.is_first():
        cut_table(run.path / METRICS, step=resumed_at or 0)
        for name in RESPONSES:
            _cut(run.path / name, step=resumed_at)
        table._experiment = Appending(table.log_dir)
    board = TensorBoardLogger(run.path, name="tensorboard", version="", purge_step=resumed_at)
    return [table, board]


def cut_table(file: Path, *, step: int) -> None:
    """Keep the rows of a table of metrics that were logged in the first so many optimiser steps."""
    if not file.is_file():
        return
    head, rows = _read(file)
    kept = [row for row in rows if int(row["step"] or step) < step]
    if kept:
        _write(file, head, kept)
    else:
        file.unlink()


def _read(file: Path) -> tuple[list[str], list[dict[str, Any]]]:
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        return list(reader.fieldnames or []), [row for row in reader if None not in row.values()]


def _write(file: Path, head: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=head)
    writer.writeheader()
    writer.writerows(rows)
    write_whole(file, text.getvalue())


def _cut(file: Path, *, step: int | None) -> None:
    """Leave out the lines that were written after so many optimiser steps, and one that was not written to its end."""
    if not file.is_file():
        return
    kept = []
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        if step is None or not line.endswith("\n"):
            continue
        if json.loads(line)["step"] <= step:
            kept.append(line)
    write_whole(file, "".join(kept))
