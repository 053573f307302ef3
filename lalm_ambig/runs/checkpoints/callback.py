"""The states to resume from, and the best weights.

A state is saved before a step, when the steps before it are done, with their validation. The steps after it are then
the same whether or not the run was interrupted there. So a state has the place in the data and the random numbers of
each process. It also has sampled responses that are still needed, optimiser, schedule, and the best value so far.
"""

import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng
from rich.console import Console

from lalm_ambig.core import distributed
from lalm_ambig.core.lightning_internals import first_iteration_kept, set_batches_that_stepped
from lalm_ambig.core.stopping import Stopped
from lalm_ambig.policies.weights.sharding import trained_weights
from lalm_ambig.runs.checkpoints.files import (
    is_readable,
    remove,
    write_checkpoint_folder,
    write_weights,
)
from lalm_ambig.runs.checkpoints.selection import Validation, early_stop_line
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes.ending import agreed_signal, check_run_exists
from lalm_ambig.runs.processes.strategies import saves_folders

STATES = 2
"""States on disk: the newest, and the one before it in case the newest is damaged later."""


class SavedState(Callback):
    """Saves a state to resume from: every so many optimiser steps, and when a signal asks the run to end."""

    def __init__(self, run: RunFolder, every: int) -> None:
        """Args:
        run: The run, in whose folder states are saved.
        every: Optimiser steps between two states.
        """
        self.run, self.every = run, every
        self.saved_at = 0
        self.begun = -1
        """The step that began last. It has further batches if gradients are accumulated."""
        self.random: dict[str, Any] | None = None
        """Random states of this process, to be restored before the first step."""
        self.device = torch.device("cpu")
        """The device of this process."""

    def setup(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        self.device = trainer.strategy.root_device

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self.saved_at = trainer.global_step
        if self.random is None:  # each process its own dropout
            torch.manual_seed(torch.initial_seed() + distributed.rank())

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the state before a step, every so many steps, and after a signal.

        Raises:
            Stopped: A signal asked a process to end; the state is saved.
        """
        if self.random is not None:
            set_random_states(self.random, self.device)
            self.random = None
            # The loop guesses where in a step it was saved. Before a step, the count of batches is that of steps.
            set_batches_that_stepped(trainer, trainer.global_step)
        step = trainer.global_step
        if step == self.begun:
            return
        self.begun, by = step, agreed_signal()
        if step != self.saved_at and (by is not None or step % self.every == 0):
            self.saved_at = step
            self.save(trainer)
        if by is not None:
            done = f"step {step} is finished and saved" if step else "no step was begun"
            raise Stopped(by, f"{done}. The same command goes on from there.")

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            distributed.on_rank_zero(lambda: check_run_exists(self.run))

    def save(self, trainer: lightning.Trainer) -> None:
        """Write the state as it is now; every process must call."""
        distributed.on_rank_zero(lambda: check_run_exists(self.run))
        for logger in trainer.loggers:
            logger.save()
        path = self.run.checkpoint(trainer.global_step)
        if saves_folders(trainer.strategy):
            write_checkpoint_folder(path, trainer.save_checkpoint)
        else:
            trainer.save_checkpoint(path)
        if distributed.is_first():
            for old in self.run.saved()[STATES:]:
                remove(old)
        distributed.barrier()

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Undo the loop's count of a batch that is fetched, but has not begun."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts["ready"] = counts["started"] = counts["completed"]
        progress["is_last_batch"] = False

    def state_dict(self) -> dict[str, Any]:
        return {"random": distributed.all_gather_object(random_states(self.device))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        states = state_dict["random"]
        self.random = states[distributed.rank()] if distributed.rank() < len(states) else None


class BestWeights(Callback):
    """Saves the trained weights of the validation with the lowest `choosing_value`, as safetensors.

    The first validation is before the first step and the last one after the last step (`EndsAreCandidates`), so that
    the start and the end of training are candidates, too.
    """

    def __init__(self, run: RunFolder, monitor: str) -> None:
        self.run, self.monitor = run, monitor
        self.start: Validation | None = None
        """The validation before the first step."""
        self.chosen: Validation | None = None
        self.validations = 0
        self.validated_at: int | None = None
        """Step of the last validation; None before one, and where training goes on from a saved state."""
        self.worse = 0
        """Validations since the best one."""

    @property
    def best(self) -> float | None:
        """The lowest `choosing_value` so far; infinite if all were NaN, None if there was no validation."""
        return None if self.chosen is None else self._value(self.chosen)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.sanity_checking or self.monitor not in trainer.callback_metrics:
            return
        mode = self.monitor.partition("/")[0] + "/"
        metrics = {
            name.removeprefix(mode): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith(mode)
        }
        validation = Validation(trainer.global_step, pl_module.spread.items, metrics)
        self.validations += 1
        self.validated_at = trainer.global_step
        if not trainer.global_step:
            self.start = validation
        if self.best is not None and not self._value(validation) < self.best:
            self.worse += 1
            return
        self.worse = 0
        self.chosen = validation
        write_weights(self.run.best, trained_weights(pl_module.policy))

    def _value(self, validation: Validation) -> float:
        return validation.choosing_value(self.monitor.partition("/")[2])

    def state_dict(self) -> dict[str, Any]:
        records = {name: None if value is None else asdict(value) for name, value in self._validations()}
        return {"validations": self.validations, "worse": self.worse, **records}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if "validations" not in state_dict:  # of an older version, which knew the best value only
            best = state_dict["best"]
            name = self.monitor.partition("/")[2]
            self.chosen = None if best is None else Validation(-1, 0, {name: best})
            return
        self.validations, self.worse = state_dict["validations"], state_dict.get("worse", 0)
        self.start, self.chosen = (
            None if state_dict[name] is None else Validation(**state_dict[name])
            for name, _ in self._validations()
        )

    def _validations(self) -> list[tuple[str, Validation | None]]:
        return [("start", self.start), ("chosen", self.chosen)]


class StopEarly(Callback):
    """Ends training after some validations in a row that were not better than the best one."""

    def __init__(self, best: BestWeights, patience: int, *, console: Console) -> None:
        """Args:
        best: Counts the validations; it comes before this callback.
        patience: Validations that are waited for.
        console: Is told that training ends.
        """
        self.best, self.patience, self.console = best, patience, console
        self.stopped_at: int | None = None
        """Step at which training was told to end."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.sanity_checking or self.best.worse < self.patience:
            return
        trainer.should_stop = True
        self.stopped_at = trainer.global_step
        line = early_stop_line(self.stopped_at, waited=self.best.worse, monitor=self.best.monitor)
        self.console.print(line, highlight=False, soft_wrap=True)


class EndsAreCandidates(Callback):
    """Validates the policy before the first step of a new run and after the last step; the last of the callbacks.

    Training goes on from the first validation as if there had been none: no random number is used. Lightning itself
    does not validate the last step where `max_steps` ends within an epoch, or `check_val_every_n_epoch` skips that.
    """

    def __init__(self, best: BestWeights) -> None:
        self.best = best

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.global_step and self.best.chosen is None:
            self._validate(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.global_step != self.best.validated_at:
            self._validate(trainer)

    def _validate(self, trainer: Any) -> None:
        if not trainer.enable_validation:
            return
        trainer.validating = True
        with first_iteration_kept(trainer), isolate_rng():
            trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True


@dataclass(frozen=True)
class SavedStates:
    """The states of a run that matter for resuming it."""

    newest: Path | None
    """The newest that can be read to its last byte."""
    damaged: tuple[Path, ...]
    """Newer ones that cannot."""


def saved_states(run: RunFolder) -> SavedStates:
    """Look for the newest state of a run that can be read."""
    damaged: list[Path] = []
    for path in run.saved():
        if is_readable(path):
            return SavedStates(path, tuple(damaged))
        damaged.append(path)
    return SavedStates(None, tuple(damaged))


def random_states(device: torch.device) -> dict[str, Any]:
    """Return the state of every random generator of this process, in types that a checkpoint may hold.

    Args:
        device: The device of this process. The states of others are not its own.
    """
    own = None
    if device.type != "cpu":
        own = {"kind": device.type, "state": torch.get_device_module(device).get_rng_state()}
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 the global one
    return {
        "torch": torch.get_rng_state(),
        "device": own,
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
    }


def set_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Restore what `random_states` returned.

    Args:
        states: The states. On another kind of device than theirs, that of the device is not restored.
        device: The device of this process.
    """
    torch.set_rng_state(states["torch"])
    own = states.get("device")
    if older := states.get("cuda"):  # of an earlier version: of every GPU that it saw
        own = {"kind": "cuda", "state": older[min(device.index or 0, len(older) - 1)]}
    if own is not None and own["kind"] == device.type:
        torch.get_device_module(device).set_rng_state(own["state"])
    version, inner, gauss = states["python"]
    random.setstate((version, tuple(inner), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
