"""Measures what training takes: updates, items, tokens and seconds, kept in a run's `training.json`."""

import time
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from lalm_ambig.core import distributed
from lalm_ambig.evaluation.effort import Effort, write_effort
from lalm_ambig.runs.folder.run_folder import RunFolder


class EffortRecord(Callback):
    """Measures time and tokens of training over every start of a run, and writes `training.json` at its end.

    What was measured so far is in each saved state. A step that is done again after an interruption counts once.
    """

    def __init__(self, run: RunFolder, *, items: int) -> None:
        """Args:
        run: The run.
        items: Number of items that it trains on.
        """
        self.run, self.items = run, items
        self.seconds = 0.0
        """Up to the last pause."""
        self.tokens_before: int | None = 0
        """Of earlier starts of the run, over all processes; None where a state of an older version lacks them."""
        self.method: Any = None
        """The method, which counts the tokens of this process."""
        self.since: float | None = None
        """Reading of the clock at the end of the last pause; None outside training and in a validation."""

    def elapsed_s(self) -> float:
        """Return the seconds of training so far."""
        return self.seconds + (0.0 if self.since is None else time.perf_counter() - self.since)

    def tokens(self) -> int | None:
        """Return the tokens of training so far, over all processes. All must call.

        None for a run that an older version has begun.
        """
        counts = distributed.all_gather_object(0 if self.method is None else self.method.tokens)
        return None if self.tokens_before is None else self.tokens_before + sum(counts)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.since, self.method = time.perf_counter(), pl_module

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.seconds, self.since = self.elapsed_s(), None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self.since = time.perf_counter()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.seconds, self.since = self.elapsed_s(), None
        effort = Effort(
            trainer.global_step,
            self.items,
            self.seconds,
            distributed.world_size(),
            tokens=self.tokens(),
            device=_name(trainer.strategy.root_device),
        )
        distributed.on_rank_zero(lambda: write_effort(self.run.effort, effort))

    def state_dict(self) -> dict[str, float | None]:
        return {"seconds": self.elapsed_s(), "tokens": self.tokens()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.tokens_before = state_dict["seconds"], state_dict.get("tokens")


def _name(device: torch.device) -> str:
    """The device's name as its maker gives it, or its kind: `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
