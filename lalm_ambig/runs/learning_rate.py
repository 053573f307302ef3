r"""A learning-rate range test: the loss while the rate rises from tiny to huge.

The rate grows by one factor per optimiser step, $\eta_t = \eta_0 (\eta_1 / \eta_0)^{t/(T-1)}$. Each batch is another
one, so the loss is smoothed. A tenth of the rate with the lowest smoothed loss is suggested, if that loss is lower than
those at tiny rates by more than their noise. It is a start for a sweep: the test sees a few updates, and no validation.
"""

import contextlib
import math
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from lightning.pytorch.callbacks import Callback

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.sweep import FLAG as SWEEP_FLAG
from lalm_ambig.core import stopping
from lalm_ambig.core.errors import InputError
from lalm_ambig.methods.step_metrics import NotFinite
from lalm_ambig.runs.processes.ending import handle_signals
from lalm_ambig.runs.processes.launch import prediction_settings, single_device_trainer
from lalm_ambig.runs.processes.strategies import CheckOnDevice
from lalm_ambig.runs.progress import RunBar
from lalm_ambig.runs.session import connect, standardise

FLAG = "--find-lr"
LOWEST, HIGHEST = 1e-7, 1.0
DIVERGES = 4.0
"""The test ends when the smoothed loss is so many times its lowest value."""
MEMORY = 0.9
"""Weight of the past in the smoothed loss."""
EARLY, FEWEST_EARLY = 0.3, 4
"""Share of the steps whose rates (up to 1e-5) change little, and their least number: they show the noise of a loss."""


@dataclass(frozen=True)
class RangeTest:
    """The steps of a range test."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> tuple[float, ...]:
        """The losses as running means, without a bias towards 0 at the beginning."""
        means, running = [], 0.0
        for step, loss in enumerate(self.losses, start=1):
            running = MEMORY * running + (1 - MEMORY) * loss
            means.append(running / (1 - MEMORY**step))
        return tuple(means)

    @property
    def suggested(self) -> float | None:
        """A tenth of the rate with the lowest smoothed loss; None where the loss falls no further than its noise."""
        smoothed, early = self.smoothed, self.losses[: round(EARLY * len(self.losses))]
        if len(early) < FEWEST_EARLY:
            return None
        lowest = min(range(len(early), len(smoothed)), key=lambda step: smoothed[step])
        noise = stdev(early) * math.sqrt((1 - MEMORY) / (1 + MEMORY))
        return self.rates[lowest] / 10 if smoothed[lowest] < mean(early) - 2 * noise else None


class RisingRate(Callback):
    """Sets the rate of each optimiser step and notes its loss."""

    def __init__(self, steps: int, peak: float) -> None:
        """Args:
        steps: Optimiser steps of the test.
        peak: The configured learning rate; groups with another one keep their proportion to it.
        """
        self.steps, self.peak = steps, peak
        self.proportions: list[float] = []
        self.losses: list[float] = []
        """Of the steps that are done."""
        self.loss = 0.0
        """Of the step that is not, so far."""

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return float(LOWEST * (HIGHEST / LOWEST) ** (step / (self.steps - 1)))

    def tested(self) -> RangeTest:
        """The steps that are done."""
        return RangeTest(tuple(self.rate(step) for step in range(len(self.losses))), tuple(self.losses))

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        groups = trainer.optimizers[0].param_groups
        self.proportions = [group["initial_lr"] / self.peak for group in groups]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        groups = trainer.optimizers[0].param_groups
        for group, proportion in zip(groups, self.proportions, strict=True):
            group["lr"] = self.rate(trainer.global_step) * proportion

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        self.loss += float(loss.detach())  # a pass's part of the mean over the step's items

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == len(self.losses):  # a pass of a step that has others
            return
        self.losses.append(self.loss)
        self.loss = 0.0
        smoothed = self.tested().smoothed
        if len(smoothed) > EARLY * self.steps and smoothed[-1] > DIVERGES * min(smoothed):
            trainer.should_stop = True


def range_test(cli: Cli, steps: int) -> RangeTest:
    """Train on the training split while the rate rises, and keep nothing of it.

    Args:
        cli: The configuration. Its policy is changed: use it for nothing else.
        steps: Optimiser steps.

    Returns:
        The steps, up to the one at which the loss was no number any more.

    Raises:
        InputError: The method samples its responses, so that its loss says nothing of a rate.
    """
    model = cli.model
    if model.sampled_tokens:
        raise InputError(
            f"the loss of {type(model).__name__} is of responses that it samples, and does not say how well it learns.",
            where=FLAG,
            remedy=f"Compare a few values by validation: {SWEEP_FLAG} model.optimiser.learning_rate=1e-5,3e-5,1e-4.",
        )
    model.optimiser = replace(model.optimiser, not_finite="stop")
    device = single_device_trainer(cli).strategy.root_device
    data = connect(model, cli.datamodule, training=True, device=device)
    standardise(model, data)
    model.prepare()
    rising = RisingRate(steps, model.optimiser.peak)
    bar = [] if cli.config_init["trainer"]["enable_progress_bar"] is False else [RunBar()]
    settings = {**prediction_settings(), "callbacks": [CheckOnDevice(), rising, *bar]}
    limits = {"max_steps": steps, "max_epochs": -1, "min_steps": None, "min_epochs": None}
    quiet = {"limit_val_batches": 0, "num_sanity_val_steps": 0, "fast_dev_run": False}
    trainer = handle_signals(
        cli.make_trainer(strategy="auto", devices=1, num_nodes=1, **settings, **limits, **quiet)
    )
    with contextlib.suppress(NotFinite), stopping.deferred():
        trainer.fit(model, datamodule=data)
    return rising.tested()
