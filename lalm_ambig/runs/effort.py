"""Measures what training takes: updates, items and seconds, kept in a run's `training.json`."""

import time
from typing import Any

from lightning.pytorch.callbacks import Callback

from lalm_ambig.core import distributed
from lalm_ambig.evaluation.effort import Effort, write_effort
from lalm_ambig.runs.folder.run_folder import RunFolder


class EffortRecord(Callback):
    """Measures the time of training over every start of a run, and writes `training.json` at its end.

    The time so far is in each saved state. A step that is done again after an interruption counts once.
    """

    def __init__(self, run: RunFolder, *, items: int) -> None:
        """Args:
        run: The run.
        items: Number of items that it trains on.
        """
        self.run, self.items = run, items
        self.seconds = 0.0
        """Up to the last pause."""
        self.since: float | None = None
        """Reading of the clock at the end of the last pause; None outside training and in a validation."""

    def elapsed_s(self) -> float:
        """Return the seconds of training so far."""
        return self.seconds + (0.0 if self.since is None else time.perf_counter() - self.since)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.since = time.perf_counter()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.seconds, self.since = self.elapsed_s(), None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self.since = time.perf_counter()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.seconds, self.since = self.elapsed_s(), None
        effort = Effort(trainer.global_step, self.items, self.seconds, distributed.world_size())
        distributed.on_rank_zero(lambda: write_effort(self.run.effort, effort))

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.elapsed_s()}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.seconds = state_dict["seconds"]
