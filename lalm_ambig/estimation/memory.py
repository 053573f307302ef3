"""The estimate: bytes that a process holds all the time, and bytes that each phase of a step adds."""

from dataclasses import dataclass, replace

from lalm_ambig.estimation import formulas
from lalm_ambig.estimation.division import ProcessShare, process_share
from lalm_ambig.estimation.formulas import FLOAT32, ComputeTypes
from lalm_ambig.estimation.shapes import Shapes
from lalm_ambig.estimation.workload import Workload

MARGIN = 1.25
"""Factor for what comes and goes: memory that the allocator loses to fragments, and parts that are not counted."""
CONTEXT = 1_000_000_000
"""Bytes that CUDA and its libraries take on a GPU before anything is computed, roughly."""


def compute_types(shapes: Shapes, *, half: bool, strategy: str) -> ComputeTypes:
    """Types of a pass.

    Args:
        shapes: The model.
        half: Whether autocast computes in two bytes.
        strategy: The trainer's; ZeRO-3 gathers weights for calls of their own layer, which a joint product is not.
    """
    numbers = 2 if half else shapes.base_bytes
    joins = shapes.joins and strategy != "deepspeed_stage_3"
    copied = shapes.base_bytes if joins else shapes.trained_bytes
    return ComputeTypes(
        bytes=numbers,
        lora_bytes=numbers if half or joins or not shapes.rank else shapes.trained_bytes,
        casts=bool(shapes.rank) and copied != numbers,
        joins=joins,
    )


@dataclass(frozen=True)
class StepSetting:
    """Types, strategy and device of a step."""

    computing: ComputeTypes
    strategy: str
    processes: int
    on_cpu: bool
    trains_tower: bool
    accumulates: bool
    """Whether gradients are accumulated over several batches."""
    recompute_every: int = 0
    """Every so many decoder layers one is computed again in the backward pass; 0 for none."""
    half: bool = False
    """Whether autocast computes in two bytes."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of one process, by part."""

    resident: dict[str, int]
    """Parts that are held all the time."""
    phases: dict[str, dict[str, int]]
    """Additional parts of each phase of a step. The phases run one after another."""

    @property
    def largest(self) -> str:
        """The phase that needs the most bytes."""
        return max(self.phases, key=lambda phase: sum(self.phases[phase].values()))

    @property
    def peak(self) -> int:
        """Bytes that are held all the time, and those of the largest phase."""
        return sum(self.resident.values()) + sum(self.phases[self.largest].values())

    @property
    def needed(self) -> float:
        """Bytes that should be free: what is held all the time, and the largest phase with a quarter more."""
        return self.needed_in(self.largest)

    def needed_in(self, phase: str) -> float:
        """Bytes that should be free for a phase: what is always held, and its own parts with a quarter more."""
        return sum(self.resident.values()) + MARGIN * sum(self.phases[phase].values())

    @property
    def dominant(self) -> str:
        """The largest part of the peak."""
        parts = self.resident | self.phases[self.largest]
        return max(parts, key=lambda name: parts[name])


def estimate(shapes: Shapes, work: Workload, evaluated: Workload, setting: StepSetting) -> Estimate:
    """Bytes of one process.

    Args:
        shapes: The model.
        work: A training step.
        evaluated: A batch of validation; its rollouts are the responses that are generated.
        setting: Types, strategy and device.

    Returns:
        The parts that are held, and those of each phase.

    Raises:
        InputError: No estimate is known for the strategy.
    """
    parts = process_share(shapes, setting.computing, strategy=setting.strategy, processes=setting.processes)
    resident = {"weights": parts.weights, "adapters": parts.adapters, "optimizer state": parts.optimiser}
    if work.keeps_start:
        resident["reference's copy"] = shapes.trained * shapes.trained_bytes
    if not setting.on_cpu:
        resident["CUDA context"] = CONTEXT
    phases = {
        "sampling": _reading(shapes, work, parts, setting) if work.rollouts else {},
        "training pass": _training(shapes, work, parts, setting),
        "optimizer step": {} if setting.on_cpu else {"AdamW's temporaries": parts.optimiser // 2},
        "evaluation": _reading(shapes, evaluated, parts, setting),
    }
    gradients = {"gradients": parts.gradients}
    if setting.strategy.startswith("deepspeed") and not setting.accumulates:  # freed by its own optimiser
        phases |= {name: gradients | phases[name] for name in ("training pass", "optimizer step")}
    else:  # they are held until the next backward pass begins
        resident |= gradients
    return Estimate(resident, phases)


def _reading(shapes: Shapes, work: Workload, parts: ProcessShare, setting: StepSetting) -> dict[str, int]:
    """Prompts read, and responses sampled where there are any."""
    decoder, computing = shapes.decoder, setting.computing
    rows = work.items * max(1, work.rollouts)
    prompts = replace(work, responses=(), shares=True).tokens
    cached = replace(computing, bytes=FLOAT32) if setting.on_cpu and work.shares else computing
    needs = {
        "a layer at work": formulas.layer_at_work(decoder, prompts, computing),
        "KV cache": formulas.rollout_cache(decoder, work, cached),
        "logits of a decoding step": formulas.step_logits(decoder, rows, computing) if work.rollouts else 0,
        "a weight's copy": formulas.head_copy(shapes, computing),
        "whole weights, gathered": parts.gathered,
    }
    if work.rollouts and setting.on_cpu and rows > 1:  # see policies.decoding_layers
        needs["decoding copy of the weights"] = shapes.linear * computing.bytes + shapes.head * FLOAT32
    return needs


def _training(shapes: Shapes, work: Workload, parts: ProcessShare, setting: StepSetting) -> dict[str, int]:
    decoder, computing = shapes.decoder, setting.computing
    logits = formulas.training_logits(decoder, work, computing, head_trained=not shapes.rank)
    logits += formulas.head_copy(shapes, computing) if work.counted else 0
    if work.counted and setting.on_cpu and shapes.rank and shapes.base_bytes != FLOAT32:
        logits += shapes.head * FLOAT32  # see policies.log_probs
    every = setting.recompute_every
    layer = formulas.layer_at_work(decoder, work.tokens, computing, recompute_every=every)
    needs = {
        "activations": formulas.activations(
            decoder, work, computing, rank=shapes.rank, recompute_every=every
        ),
        "copies of weights": formulas.weight_copies(shapes, computing, recompute_every=every),
        "weights of a layer, gathered": parts.live,
    }
    needs |= {"logits": logits} if logits > layer else {"a layer at work": layer}  # one after the other
    if shapes.encoder is not None and work.audio:
        needs["audio features"] = formulas.audio_features(shapes.encoder, decoder, work)
        if setting.trains_tower:
            needs["activations of the audio encoder"] = formulas.encoder_activations(
                shapes.encoder, work, computing
            )
    return needs


def evaluation_workload(work: Workload, *, items: int, responses: int, longest: int) -> Workload:
    """A batch of validation with so many responses per prompt; 0 where no text is generated."""
    return replace(work, items=items, responses=(), rollouts=responses, longest=longest)
