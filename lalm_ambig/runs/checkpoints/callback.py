"""The state to go on from, and the best weights.

A state is saved before a step, when everything of the steps before it is done (validation, too), so that what follows
is the same whether or not the run was interrupted there: place in the data, random numbers of each process, sampled
responses that are still needed, optimiser, schedule, best value so far.
"""

import math
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng

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
from lalm_ambig.runs.checkpoints.selection import Validation
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes.ending import agreed_signal, check_run_exists
from lalm_ambig.runs.processes.strategies import saves_folders

KEPT = 2
"""Newest states that are kept: the last, and the one before it should the last be damaged later."""


class SavedState(Callback):
    """Every so many optimiser steps, and when a signal asks the run to end, everything that is needed to go on as if
    nothing had happened."""

    def __init__(self, run: RunFolder, every: int) -> None:
        """
        Args:
            run: Where states are kept.
            every: Optimiser steps from one to the next.
        """
        self.run, self.every = run, every
        self.saved_at = 0
        self.begun = -1
        """Step whose first batch was the last to begin: more batches follow where gradients are accumulated."""
        self.random: dict[str, Any] | None = None
        """Of this process, to be restored before the first step."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self.saved_at = trainer.global_step
        if self.random is None:  # each process its own dropout
            torch.manual_seed(torch.initial_seed() + distributed.rank())

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.random is not None:
            set_random_states(self.random)
            self.random = None
            # The loop guesses where in a step it was saved; before a step, as many batches stepped as there were steps.
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
            for old in self.run.saved()[KEPT:]:
                remove(old)
        distributed.barrier()

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Take back what the loop counts of a batch as soon as it is fetched: it has not begun."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts["ready"] = counts["started"] = counts["completed"]
        progress["is_last_batch"] = False

    def state_dict(self) -> dict[str, Any]:
        return {"random": distributed.all_gather_object(random_states())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        states = state_dict["random"]
        self.random = states[distributed.rank()] if distributed.rank() < len(states) else None


class BestWeights(Callback):
    """The trained weights of the validation with the lowest value of a metric, as safetensors.

    The first validation comes before the first step: what training starts from is a candidate like any other.
    """

    def __init__(self, run: RunFolder, monitor: str) -> None:
        self.run, self.monitor = run, monitor
        self.start: Validation | None = None
        """Before the first step."""
        self.chosen: Validation | None = None
        self.validations = 0

    @property
    def best(self) -> float | None:
        """Lowest value so far; infinite where there was none but NaN."""
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
        found = Validation(trainer.global_step, pl_module.spread.items, metrics)
        self.validations += 1
        if not trainer.global_step:
            self.start = found
        if self.best is not None and not self._value(found) < self.best:
            return
        self.chosen = found
        write_weights(self.run.best, trained_weights(pl_module.policy))

    def _value(self, validation: Validation) -> float:
        value = validation.metrics[self.monitor.partition("/")[2]]
        return float("inf") if math.isnan(value) else value

    def state_dict(self) -> dict[str, Any]:
        kept = {name: None if value is None else asdict(value) for name, value in self._validations()}
        return {"validations": self.validations, **kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if "validations" not in state_dict:  # of an older version, which knew the best value only
            best = state_dict["best"]
            name = self.monitor.partition("/")[2]
            self.chosen = None if best is None else Validation(-1, 0, {name: best})
            return
        self.validations = state_dict["validations"]
        self.start, self.chosen = (
            None if state_dict[name] is None else Validation(**state_dict[name])
            for name, _ in self._validations()
        )

    def _validations(self) -> list[tuple[str, Validation | None]]:
        return [("start", self.start), ("chosen", self.chosen)]


class StartIsCandidate(Callback):
    """Validates the policy as training finds it, before the first step of a new run; the last of the callbacks.

    Training goes on as if nothing had been validated: no random number is used up.
    """

    def __init__(self, best: BestWeights) -> None:
        self.best = best

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.global_step or self.best.chosen is not None or not trainer.enable_validation:
            return
        trainer.validating = True
        with first_iteration_kept(trainer), isolate_rng():
            trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True


def newest_state(run: RunFolder) -> tuple[Path | None, list[Path]]:
    """The newest state that can be read whole, and newer ones that cannot."""
    damaged: list[Path] = []
    for path in run.saved():
        if is_readable(path):
            return path, damaged
        damaged.append(path)
    return None, damaged


def random_states() -> dict[str, Any]:
    """Of every generator of this process, in types that a checkpoint may hold without code."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 the global one
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Go on with what `random_states` returned."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    version, inner, gauss = states["python"]
    random.setstate((version, tuple(inner), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
