"""Launches, copies and synchronisations of a decode step and of a training step, counted on the pretend accelerator."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from product.assembly import assembled, timed, trainer_of
from product.decoding import Decoding, never_ending

from pretend.device import NAME
from pretend.watch import Watch

COUNTED = ("launches", "to_device", "to_host")
"""`to_host` counts synchronisations, too: the host waits for what it copies."""
SHORT, LONG = 8, 24
"""Tokens of the two decode loops whose difference is that of single steps."""
HALF = "--trainer.precision=bf16-mixed"
Counts = dict[str, float]


class SecondStep(Callback):
    """Counts the second optimiser step as a whole and by its parts: the first makes what later ones keep."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.parts: dict[str, Counts] = {}

    def on_train_batch_start(self, *_: Any) -> None:
        self.parts.clear()
        self.before = self.backend.counts()

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self._add("whole step", self.before)
        trainer.should_stop = trainer.global_step == 2

    def measure(self, name: str, function: Callable[[], Any]) -> Any:
        """Call a function, and add what it takes to the part of that name."""
        before = self.backend.counts()
        result = function()
        self._add(name, before)
        return result

    def _add(self, name: str, before: dict[str, int]) -> None:
        now, sums = self.backend.counts(), self.parts.get(name, dict.fromkeys(COUNTED, 0.0))
        self.parts[name] = {kind: sums[kind] + now[kind] - before[kind] for kind in COUNTED}


def training(backend: Any, words: Sequence[str]) -> dict[str, Counts]:
    """Counts of the second optimiser step: of all of it, and of sampling and scoring in it.

    Args:
        backend: The accelerator.
        words: Arguments of `fit`, for at least two steps of one pass.
    """
    cli, callback = assembled(words), SecondStep(backend)
    with timed(callback.measure):
        trainer_of(cli, callback).fit(cli.model, datamodule=cli.datamodule)
    return {name: callback.parts[name] for name in sorted(callback.parts)}


def decoding(backend: Any, words: Sequence[str]) -> Counts:
    """Counts of one decode step of 4 responses to each of 4 items, a mean over several steps."""
    cli = assembled(words)
    policy = cli.model.policy
    policy.to(NAME)
    encoder, items = cli.datamodule.encoder, cli.datamodule.train_items()[:4]
    found = []
    half = torch.bfloat16 if HALF in words else None
    loop = Decoding(items, group_size=4, autocast=half, merge=cli.model.sampling.merge_adapter)
    with never_ending(policy), policy.eval_mode():
        for tokens in (SHORT, LONG):
            with Watch(backend) as watch:
                loop.run(policy, encoder, tokens=tokens)
            found.append(watch.counts)
    return {name: (found[1][name] - found[0][name]) / (LONG - SHORT) for name in COUNTED}
