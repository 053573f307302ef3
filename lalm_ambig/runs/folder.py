"""The folder of a run: what it was made from, how far it is, and what came out.

config.yaml environment.json          what was run
checkpoints/step-N.ckpt               the newest states, to go on from
checkpoints/best.safetensors          trained weights of the best validation
adapter/                              PEFT's layout, safetensors
metrics.csv tensorboard/ samples.jsonl
evaluation/NAME/metrics.json predictions.jsonl
results.md                            the final table; its presence means that the run is finished
"""

import json
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import lalm_ambig
from lalm_ambig.cache import write_whole
from lalm_ambig.errors import InputError

State = Literal["new", "started", "finished"]
PACKAGES = (
    "lalm_ambig",
    "torch",
    "torchaudio",
    "lightning",
    "transformers",
    "peft",
    "torchmetrics",
    "datasets",
)


@dataclass(frozen=True)
class RunFolder:
    """A run's place on disk."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """The state before the optimiser step behind so many; a file, or a folder under DeepSpeed."""
        return self.checkpoints / f"step-{step:08d}.ckpt"

    def step_of(self, checkpoint: Path) -> int:
        """Optimiser steps behind which that state is."""
        return int(checkpoint.stem.removeprefix("step-"))

    def saved(self) -> list[Path]:
        """States to go on from, the newest first."""
        return sorted(self.checkpoints.glob("step-*.ckpt"), reverse=True)

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.safetensors"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def results(self) -> Path:
        return self.path / "results.md"

    def evaluation(self, name: str) -> Path:
        """Folder of the predictions and metrics of that name: `prior`, `base`, `trained`, …"""
        return self.path / "evaluation" / name

    def state(self) -> State:
        """How far the run is."""
        if self.results.is_file():
            return "finished"
        return "started" if self.saved() or self.adapter.is_dir() else "new"

    def state_for(self, identity: str) -> State:
        """How far the run of that configuration is. InputError if the folder holds another one."""
        recorded = self.path / "environment.json"
        if recorded.is_file() and json.loads(recorded.read_text())["identity"] != identity:
            raise InputError(
                f"{self.path} holds a run with another configuration (see its config.yaml).",
                where="run.name",
                remedy="Choose another --run.name, or remove that folder.",
            )
        return self.state()

    def record(self, config: str, identity: str) -> None:
        """Write what is run, unless the folder already says so; InputError where it cannot be written."""
        recorded = self.path / "environment.json"
        if recorded.is_file():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.config, config)
            write_whole(recorded, json.dumps(environment(identity), indent=2) + "\n")
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {error.strerror}", where="run.root") from error


def open_run(path: Path | str, *, where: str = "--run") -> RunFolder:
    """A run that `fit` has made; InputError if the folder is none."""
    folder = RunFolder(Path(path).expanduser())
    if not folder.config.is_file():
        above = folder.path.absolute().parent
        part = (above / "config.yaml").is_file() and (above / "environment.json").is_file()
        raise InputError(
            f"{folder.path} is not a run folder: it has no config.yaml.",
            where=where,
            remedy=f"It is a part of one: give {above}." if part else "Give a folder that fit printed.",
        )
    return folder


def environment(identity: str) -> dict[str, Any]:
    """Versions and revision: enough to say what a number was made with, without a name of the user's."""
    return {
        "identity": identity,
        "python": platform.python_version(),
        "packages": {name: installed_version(name) for name in PACKAGES},
        "git": revision(),
    }


def installed_version(name: str) -> str:
    """A package's version; of the project in a tree that was not installed, the tree's."""
    try:
        return version(name)
    except PackageNotFoundError:
        return f"{lalm_ambig.__version__} (not installed)"


def revision() -> str | None:
    """Commit of the checkout that the code runs from, with `+changes` where it was edited; None outside one."""
    here = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words], check=False, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--short=12", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain") else commit
