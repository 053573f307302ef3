"""The policy's self-check once more on the device that it is moved to: kernels there are not those of the CPU."""

from typing import Any

from lightning.pytorch.callbacks import Callback

from lalm_ambig.runs.strategies import divides_weights


class CheckedHere(Callback):
    """Tries the policy out where it will be used, before the first batch.

    Not where its weights are divided over processes: no process could run it by itself.
    """

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self.on_predict_start(trainer, pl_module)

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        if not divides_weights(trainer.strategy):
            pl_module.policy.check_here()
