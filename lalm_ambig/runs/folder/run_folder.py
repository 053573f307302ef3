"""The folder of a run: its configuration and environment, its states, and its results.

config.yaml environment.json          what was run
checkpoints/step-N.ckpt               the newest states, to resume from
checkpoints/best.safetensors          trained weights of the best validation
adapter/                              PEFT's layout, safetensors
metrics.csv tensorboard/ wandb/ samples.jsonl
selection.json                        how the best validation was chosen
training.json                         updates, items, tokens and seconds of training
evaluation/NAME/metrics.json predictions.jsonl               of the test split
evaluation/validation/NAME/metrics.json predictions.jsonl
results.md                            the final tables; beside an adapter they mean that the run is finished
"""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from lalm_ambig.config.cli import parse
from lalm_ambig.config.identity import RULES
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Split
from lalm_ambig.files.atomic import CannotWrite, write_text
from lalm_ambig.files.failures import as_cannot_write
from lalm_ambig.files.kinds import json_with
from lalm_ambig.files.locks import locked
from lalm_ambig.files.places import check_folder
from lalm_ambig.runs.folder.environment import differences, environment
from lalm_ambig.runs.folder.exported import RECORD as EXPORTED

State = Literal["new", "started", "finished"]
LOCK = ".lock"
"""A file in the folder that the process which trains the run has locked."""
CONTENTS = (
    "config.yaml",
    "checkpoints",
    "adapter",
    "metrics.csv",
    "tensorboard",
    "wandb",
    "samples.jsonl",
    "rollouts.jsonl",
    "selection.json",
    "training.json",
    "evaluation",
    "results.md",
)
"""Files and folders that a run writes after its environment.json."""
UNTESTED = "the test split was not looked at"
"""Words in the results.md of a run whose test split has not been evaluated."""
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

    def being_trained(self) -> AbstractContextManager[None]:
        """Hold the run's lock for the time of a block.

        Raises:
            InputError: Another process trains this run.
        """
        busy = InputError(
            "another fit is training this run.",
            where=f"run folder {self.path}",
            remedy="Wait for it or stop it, or give this run a name of its own with --run.name.",
        )
        return locked(self.path / LOCK, busy=busy)

    def checkpoint(self, step: int) -> Path:
        """Return the path of the state after `step` optimiser steps: a file, or a folder under DeepSpeed."""
        return self.checkpoints / f"step-{step:08d}.ckpt"

    def step_of(self, checkpoint: Path) -> int:
        """Return the number of optimiser steps before a state."""
        return int(checkpoint.stem.removeprefix("step-"))

    def saved(self) -> list[Path]:
        """Return the states to resume from, the newest first."""
        return sorted(self.checkpoints.glob("step-*.ckpt"), reverse=True)

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.safetensors"

    @property
    def selection(self) -> Path:
        return self.path / "selection.json"

    @property
    def effort(self) -> Path:
        return self.path / "training.json"

    @property
    def is_export(self) -> bool:
        """Whether the folder is an export, which has the run's weights and no more of the run than asking takes."""
        return (self.path / EXPORTED).is_file()

    @property
    def adapter(self) -> Path:
        """Folder of the trained weights; an export is that folder itself."""
        return self.path if self.is_export else self.path / "adapter"

    @property
    def results(self) -> Path:
        return self.path / "results.md"

    def evaluation(self, name: str, split: Split = "test") -> Path:
        """Return the folder of a row's predictions and metrics: `prior`, `base`, `trained` and so on."""
        rows = self.path / "evaluation"
        return (rows if split == "test" else rows / split) / name

    @property
    def is_tested(self) -> bool:
        """Whether the run is finished and its results are also of the test split, as those of older versions are."""
        return self.results.is_file() and UNTESTED not in self.results.read_text(encoding="utf-8")

    def state(self) -> State:
        """Return how far the run is."""
        if self.results.is_file() and self.adapter.is_dir():
            return "finished"
        return "started" if self.saved() or self.adapter.is_dir() else "new"

    def state_for(self, identity: str) -> State:
        """Return how far the run of a configuration is.

        Args:
            identity: Of the configuration.

        Raises:
            InputError: The folder has a run of another configuration, or something else.
        """
        self._check_ours()
        if self.recorded.is_file() and self._identity() != identity:
            raise InputError(
                f"{self.path} holds a run with another configuration (see its config.yaml).",
                where="run.name",
                remedy="Choose another --run.name, or remove that folder.",
            )
        return self.state()

    def record(self, config: str, identity: str, *, trainer: Any = None) -> list[str]:
        """Write configuration and environment, unless they are there already.

        A resumed run adds an environment that is another one.

        Args:
            config: The resolved configuration as YAML.
            identity: Its identity.
            trainer: Lightning's trainer, which knows the device.

        Returns:
            The differences between the first environment and this one.

        Raises:
            InputError: The folder cannot be written to.
        """
        now = environment(identity, trainer)
        if not (self.recorded.is_file() and self.config.is_file()):
            self._write(now, config)
            return []
        recorded = self._environment()
        changed = differences(recorded, now)
        if changed:
            others = [other for other in recorded.get("later", []) if other != now]
            self._write({**recorded, "later": [*others, now]})
        return changed

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
        """Return the identity of the run in the folder, by the present rules."""
        recorded = self._environment()
        if recorded.get("identity_rules") == RULES or not self.config.is_file():
            return str(recorded["identity"])
        try:
            return parse([f"--config={self.config}"]).identity()
        except InputError:  # the configuration cannot be read any more
            return str(recorded["identity"])

    def _check_ours(self) -> None:
        """Refuse a folder that has something else under a name of a run's, or that cannot be written to."""
        with as_cannot_write(self.path):
            recorded = self.recorded.is_file()
        if recorded:
            foreign = [] if RECORD.holds(self.recorded) else [self.recorded.name]
        else:
            check_folder(self.path, where="run.root")
            foreign = [name for name in CONTENTS if (self.path / name).exists()]
        if foreign:
            raise InputError(
                f"{self.path} is no run's folder, and holds a {foreign[0]} of something else: it is left as it is.",
                where="run.name",
                remedy="Choose another --run.name.",
            )


def open_run(path: Path | str, *, where: str = "--run") -> RunFolder:
    """Return a run of `fit`.

    Args:
        path: Its folder.
        where: The option that names it in messages.

    Raises:
        InputError: The folder is not a run's.
    """
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
