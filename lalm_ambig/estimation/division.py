"""How strategies divide weights, gradients and the optimiser's state over processes, and what they hold besides."""

import re
from dataclasses import dataclass

from lalm_ambig.core.errors import InputError
from lalm_ambig.estimation.formulas import FLOAT32, Computing
from lalm_ambig.estimation.shapes import Shapes

ADAMW_STATES = 2
"""AdamW's running means: of gradients and of their squares."""
BUCKET = 200_000_000
"""Numbers in a bucket of gradients that DeepSpeed sends at once, as Lightning sets it."""
LIVE = 1_000_000_000
"""Parameters that ZeRO-3 keeps gathered at most during a pass, as Lightning sets it."""
DEEPSPEED = re.compile(r"deepspeed_stage_([123])(_offload)?")


@dataclass(frozen=True)
class Divided:
    """Bytes that one process holds, whatever it computes."""

    weights: int
    adapters: int
    gradients: int
    optimiser: int
    gathered: int = 0
    """The others' weights, which a process brings together while responses are sampled or read."""
    live: int = 0
    """Weights of other processes that a training pass brings at a time, and buckets."""


def divided(shapes: Shapes, computing: Computing, *, strategy: str, processes: int) -> Divided:
    """What each of several processes holds under a strategy (names as `trainer.strategy` takes them).

    ddp and auto: everything; ddp copies gradients into buckets. deepspeed_stage_1 divides the optimiser's state (a
    float32 master copy and AdamW's two means), _2 the gradients as well, _3 the weights too; _offload leaves the state
    to the CPU's memory (under _3 the weights, too). fsdp2 divides all of it.
    """
    own = Divided(
        shapes.weights,
        shapes.adapters,
        gradients=shapes.trained * shapes.trained_bytes,
        optimiser=ADAMW_STATES * shapes.trained * shapes.trained_bytes,
    )
    if strategy == "fsdp2":
        return _fsdp2(own, shapes, processes)
    if found := DEEPSPEED.fullmatch(strategy):
        zero = _Zero(int(found[1]), offload=found[2] is not None, processes=processes)
        return zero.of(own, shapes, computing)
    if strategy not in ("auto", "ddp"):
        known = "auto, ddp, fsdp2, or deepspeed_stage_1, _2 or _3, also with _offload"
        raise InputError(
            f"no estimate is known for strategy {strategy!r}: expected {known}.", where="trainer.strategy"
        )
    return own if processes == 1 else Divided(own.weights, own.adapters, 2 * own.gradients, own.optimiser)


def _fsdp2(whole: Divided, shapes: Shapes, processes: int) -> Divided:
    weights = whole.weights + whole.adapters
    return Divided(
        _part(whole.weights, processes),
        _part(whole.adapters, processes),
        _part(whole.gradients, processes),
        _part(whole.optimiser, processes),
        gathered=weights - _part(weights, processes),
        live=2 * weights // shapes.decoder.layers,  # a layer, and the next one that is on its way
    )


@dataclass(frozen=True)
class _Zero:
    """DeepSpeed's ZeRO."""

    stage: int
    offload: bool
    processes: int

    def of(self, whole: Divided, shapes: Shapes, computing: Computing) -> Divided:
        """What it holds of a model, which it brings into the type that is computed in."""
        frozen = shapes.parameters - shapes.trained
        own = shapes.trained if whole.adapters else 0
        weights, adapters = (shapes.parameters - own) * computing.bytes, own * computing.bytes
        assert frozen >= 0
        gradients = shapes.trained * computing.bytes
        state = (1 + ADAMW_STATES) * shapes.trained * FLOAT32
        bucket = min(shapes.trained, BUCKET) * computing.bytes
        away = self.offload and self.stage == 3
        return Divided(
            weights=0 if away else self._from(3, weights),
            adapters=0 if away else self._from(3, adapters),
            gradients=0 if self.offload else self._from(2, gradients),
            optimiser=0 if self.offload else _part(state, self.processes),
            gathered=(weights + adapters) - (0 if away else self._from(3, weights + adapters)),
            live=bucket + (min(shapes.parameters, LIVE) * computing.bytes if self.stage == 3 else 0),
        )

    def _from(self, stage: int, held: int) -> int:
        return _part(held, self.processes) if self.stage >= stage else held


def _part(held: int, processes: int) -> int:
    """A process's part, rounded up."""
    return -(-held // processes)
