"""The product's commands in this process, and what they leave."""

import csv
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console

from lalm_ambig import fit as fit_command
from lalm_ambig.files.places import cache_root
from lalm_ambig.runs.checkpoints.callback import SavedState
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes.launch import quiet_libraries

COMMANDS = (
    *("fit", "evaluate", "predict", "doctor", "export"),
    *("baseline", "compare", "report", "describe", "study"),
)


def fit(words: Sequence[str]) -> RunFolder:
    """`fit` with these arguments, in this process; the run's folder."""
    quiet_libraries()
    with Path(os.devnull).open("w") as nowhere:
        return fit_command.train(list(words), Console(file=nowhere))


def command(name: str, words: Sequence[str]) -> int:
    """Another command of the product with these arguments, in this process; its exit code."""
    code: int = importlib.import_module(f"lalm_ambig.{name}").main(list(words))
    return code


class Stopped(Exception):
    """A run was stopped on purpose, as a kill would."""


@contextmanager
def stopped_before_step(step: int) -> Iterator[None]:
    """Inside, a run ends with `Stopped` before the optimiser step behind so many, its state saved."""
    plain = SavedState.on_train_batch_start

    def stopping(self: SavedState, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        plain(self, trainer, pl_module, batch, batch_idx)
        if trainer.global_step == step:
            raise Stopped

    SavedState.on_train_batch_start = stopping  # type: ignore[method-assign]
    try:
        yield
    finally:
        SavedState.on_train_batch_start = plain  # type: ignore[method-assign]


def losses(run: RunFolder) -> list[float]:
    """The training loss of each step."""
    with (run.path / "metrics.csv").open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row.get("train/loss")]


def base_predictions(run: RunFolder) -> list[dict[str, Any]]:
    """What the policy answered before training: `predicted_dist` and `response` of each validation item."""
    lines = (run.evaluation("base", "validation") / "predictions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def first_demo_clip() -> Path:
    """A clip of the demo, which a run has made in the cache."""
    return min(cache_root().rglob("*.wav"))


def say_version(folder: Path) -> None:
    """Tell Python the product's version where it is not installed, only on the path: `fit` writes it down."""
    try:
        version("lalm_ambig")
    except PackageNotFoundError:
        about = folder / "lalm_ambig-0.0.0.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lalm_ambig\nVersion: 0.0.0\n")
        sys.path.insert(0, str(folder))
