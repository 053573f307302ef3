"""The folder of a run: what it was made from, how far it is, and what came out.

config.yaml environment.json          what was run
checkpoints/step-N.ckpt               the newest states, to go on from
checkpoints/best.safetensors          trained weights of the best validation
adapter/                              PEFT's layout, safetensors
metrics.csv tensorboard/ samples.jsonl
selection.json                        how the best validation was chosen
evaluation/NAME/metrics.json predictions.jsonl
results.md                            the final table; its presence means that the run is finished
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from lalm_ambig.config.cli import parse
from lalm_ambig.config.identity import RULES
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import CannotWrite, write_text
from lalm_ambig.files.failures import as_cannot_write
from lalm_ambig.files.kinds import json_with
from lalm_ambig.files.places import check_folder
from lalm_ambig.runs.folder.environment import differences, environment

State = Literal["new", "started", "finished"]
CONTENTS = (
    "config.yaml",
    "checkpoints",
    "adapter",
    "metrics.csv",
    "tensorboard",
    "samples.jsonl",
    "rollouts.jsonl",
    "selection.json",
    "evaluation",
    "results.md",
)
"""What a run writes after its environment.json."""
RECORD = json_with("the record of a run", "identity", "packages")


@dataclass(frozen=True)
class RunFolder:
    """A run's place on disk."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def recorded(self) -> Path:
        return self.path / "environment.json"

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
    def selection(self) -> Path:
        return self.path / "selection.json"

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
        self._check_ours()
        if self.recorded.is_file() and self._identity() != identity:
            raise InputError(
                f"{self.path} holds a run with another configuration (see its config.yaml).",
                where="run.name",
                remedy="Choose another --run.name, or remove that folder.",
            )
        return self.state()

    def record(self, config: str, identity: str, *, trainer: Any = None) -> list[str]:
        """Write what is run, and on what, unless the folder already says so; InputError where it cannot be written.

        Where the run goes on in another environment, that one is kept beside the first, and what is different in it is
        returned.
        """
        now = environment(identity, trainer)
        if not (self.recorded.is_file() and self.config.is_file()):
            self._write(now, config)
            return []
        recorded = self._environment()
        found = differences(recorded, now)
        if found:
            others = [other for other in recorded.get("later", []) if other != now]
            self._write({**recorded, "later": [*others, now]})
        return found

    def _write(self, recorded: dict[str, Any], config: str | None = None) -> None:
        try:  # first what says whose folder it is
            write_text(self.recorded, json.dumps(recorded, indent=2) + "\n")
            if config is not None:
                write_text(self.config, config)
        except CannotWrite as error:
            raise InputError(f"cannot write to {self.path}: {error.why}", where="run.root") from error

    def _environment(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.recorded.read_text(encoding="utf-8")))

    def _identity(self) -> str:
        """Of the run in the folder; where it was recorded by other rules, that of its configuration by today's."""
        recorded = self._environment()
        if recorded.get("identity_rules") == RULES or not self.config.is_file():
            return str(recorded["identity"])
        try:
            return parse([f"--config={self.config}"]).identity()
        except InputError:  # a configuration that is none any more
            return str(recorded["identity"])

    def _check_ours(self) -> None:
        """InputError where the folder holds something else under a name of a run's, or cannot be written to."""
        with as_cannot_write(self.path):
            recorded = self.recorded.is_file()
        if recorded:
            found = [] if RECORD.holds(self.recorded) else [self.recorded.name]
        else:
            check_folder(self.path, where="run.root")
            found = [name for name in CONTENTS if (self.path / name).exists()]
        if found:
            raise InputError(
                f"{self.path} is no run's folder, and holds a {found[0]} of something else: it is left as it is.",
                where="run.name",
                remedy="Choose another --run.name.",
            )


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
