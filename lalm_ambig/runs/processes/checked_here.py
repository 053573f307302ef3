"""The policy's self-check once more on the device that it is moved to: kernels there are not those of the CPU."""

import sys
from typing import Any

from lightning.pytorch.callbacks import Callback

from lalm_ambig.runs.processes.strategies import divides_weights


class CheckedHere(Callback):
    """Tries the policy out where it will be used, before the first batch.

    Not where its weights are divided over processes: no process could run it by itself.
    """

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self._check(trainer, pl_module, training=True)

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        self._check(trainer, pl_module, training=False)

    def _check(self, trainer: Any, pl_module: Any, *, training: bool) -> None:
        if divides_weights(trainer.strategy):
            return
        policy = pl_module.policy
        before = policy.abilities.notes
        policy.check_again_if_moved()
        for note in policy.abilities.notes if trainer.is_global_zero else ():
            if note not in before:
                print(f"{policy.description} on {policy.device.type}: {note}", file=sys.stderr)
        pl_module.check_abilities(training=training)
