"""How strategies divide weights, gradients and optimiser state over processes, and what else they hold."""

import re
from dataclasses import dataclass

from lalm_ambig.core.errors import InputError
from lalm_ambig.estimation.formulas import FLOAT32, ComputeTypes
from lalm_ambig.estimation.shapes import Shapes

ADAMW_STATES = 2
"""Running means that AdamW keeps per parameter: of the gradient and of its square."""
BUCKET = 200_000_000
"""Gradients that DeepSpeed sends in one bucket, as Lightning sets it."""
LIVE = 1_000_000_000
"""Most parameters that ZeRO-3 keeps gathered during a pass, as Lightning sets it."""
DEEPSPEED = re.compile(r"deepspeed_stage_([123])(_offload)?")


@dataclass(frozen=True)
class ProcessShare:
    """Bytes that one process holds under a strategy."""

    weights: int
    adapters: int
    gradients: int
    optimiser: int
    gathered: int = 0
    """Weights of other processes, gathered while responses are sampled or read."""
    live: int = 0
    """Weights of other processes that a training pass gathers at a time, and buckets."""


def process_share(shapes: Shapes, computing: ComputeTypes, *, strategy: str, processes: int) -> ProcessShare:
    """Bytes that each process holds under a strategy.

    - `auto`, `ddp`: everything. ddp also copies gradients into buckets.
    - `deepspeed_stage_1`: divides the optimiser state (a float32 copy of the weights and AdamW's two means); `_2` also
      divides the gradients, `_3` the weights as well. `_offload` keeps the state, under `_3` also the weights, in the
      CPU's memory.
    - `fsdp2`: divides everything.

    Args:
        shapes: The model.
        computing: The types that a pass computes in.
        strategy: A name as `trainer.strategy` takes it.
        processes: Number of processes.

    Returns:
        The share of one process.

    Raises:
        InputError: No estimate is known for the strategy.
    """
    undivided = ProcessShare(
        shapes.weights,
        shapes.adapters,
        gradients=shapes.trained * shapes.trained_bytes,
        optimiser=ADAMW_STATES * shapes.trained * shapes.trained_bytes,
    )
    if strategy == "fsdp2":
        return _fsdp2(undivided, shapes, processes)
    if match := DEEPSPEED.fullmatch(strategy):
        zero = _Zero(int(match[1]), offload=match[2] is not None, processes=processes)
        return zero.of(undivided, shapes, computing)
    if strategy not in ("auto", "ddp"):
        strategies = "auto, ddp, fsdp2, or deepspeed_stage_1, _2 or _3, also with _offload"
        raise InputError(
            f"no estimate is known for strategy {strategy!r}: expected {strategies}.",
            where="trainer.strategy",
        )
    return (
        undivided
        if processes == 1
        else ProcessShare(undivided.weights, undivided.adapters, 2 * undivided.gradients, undivided.optimiser)
    )


def _fsdp2(undivided: ProcessShare, shapes: Shapes, processes: int) -> ProcessShare:
    weights = undivided.weights + undivided.adapters
    return ProcessShare(
        _part(undivided.weights, processes),
        _part(undivided.adapters, processes),
        _part(undivided.gradients, processes),
        _part(undivided.optimiser, processes),
        gathered=weights - _part(weights, processes),
        live=2 * weights // shapes.decoder.layers,  # one layer, and the next one, which is prefetched
    )


@dataclass(frozen=True)
class _Zero:
    """DeepSpeed's ZeRO."""

    stage: int
    offload: bool
    processes: int

    def of(self, undivided: ProcessShare, shapes: Shapes, computing: ComputeTypes) -> ProcessShare:
        """Bytes of one process. DeepSpeed converts the weights to the type of the computation."""
        frozen = shapes.placed - shapes.trained
        adapter_size = shapes.trained if undivided.adapters else 0
        weights, adapters = (
            (shapes.placed - adapter_size) * computing.bytes,
            adapter_size * computing.bytes,
        )
        assert frozen >= 0
        gradients = shapes.trained * computing.bytes
        state = (1 + ADAMW_STATES) * shapes.trained * FLOAT32
        bucket = min(shapes.trained, BUCKET) * computing.bytes
        offloaded = self.offload and self.stage == 3
        return ProcessShare(
            weights=0 if offloaded else self._from(3, weights),
            adapters=0 if offloaded else self._from(3, adapters),
            gradients=0 if self.offload else self._from(2, gradients),
            optimiser=0 if self.offload else _part(state, self.processes),
            gathered=(weights + adapters) - (0 if offloaded else self._from(3, weights + adapters)),
            live=bucket + (min(shapes.placed, LIVE) * computing.bytes if self.stage == 3 else 0),
        )

    def _from(self, stage: int, total: int) -> int:
        return _part(total, self.processes) if self.stage >= stage else total


def _part(total: int, processes: int) -> int:
    """One process's part of a total, rounded up."""
    return -(-total // processes)
