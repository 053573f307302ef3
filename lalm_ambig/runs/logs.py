"""What a run writes as it goes, and how it is taken back to a saved state, so that no step stands there twice."""

import csv
import json
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from lalm_ambig import parallel
from lalm_ambig.cache import write_whole
from lalm_ambig.runs.folder import RunFolder

METRICS = "metrics.csv"
RESPONSES = ("samples.jsonl", "rollouts.jsonl")


def run_loggers(run: RunFolder, *, resumed_at: int | None) -> list[Any]:
    """Lightning's loggers of a run: metrics.csv and tensorboard/, with what was logged before the state that training
    goes on from (after so many optimiser steps; None: from the start)."""
    earlier = rows_before(run.path / METRICS, step=resumed_at or 0)
    if parallel.is_first():
        for name in RESPONSES:
            _cut(run.path / name, step=resumed_at)
    table = CSVLogger(run.path, name="", version="")
    if parallel.is_first() and earlier:
        table.experiment.metrics.extend(earlier)
    board = TensorBoardLogger(run.path, name="tensorboard", version="", purge_step=resumed_at)
    return [table, board]


def rows_before(file: Path, *, step: int) -> list[dict[str, Any]]:
    """Rows of a table of metrics that were logged in the first so many optimiser steps: of numbers 0 to step − 1."""
    if step == 0 or not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if int(row["step"]) < step]
    return [{name: value for name, value in row.items() if value != ""} for row in rows]


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
