"""`fit --estimate`: prints a table of the memory of a run, before anything is loaded."""

from dataclasses import replace
from typing import Any

import torch
from rich.console import Console

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.estimation.feature_size import feature_size
from lalm_ambig.estimation.formulas import ComputeTypes
from lalm_ambig.estimation.lengths import lengths_of
from lalm_ambig.estimation.memory import Estimate, StepSetting, estimate, evaluation_workload
from lalm_ambig.estimation.shapes import Shapes, shapes_of
from lalm_ambig.estimation.workload import Workload, workload
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import terminal

MARGIN = 1.25
"""Factor for memory that the allocator loses to fragments, and for parts that are not counted."""
GB = 1e9


def print_estimate(cli: Cli, assumptions: Assumptions, console: Console) -> None:
    """Print the table. Nothing is loaded or written.

    Args:
        cli: The parsed configuration.
        assumptions: Lengths and card sizes that the user gave with the option.
        console: Where the table goes.

    Raises:
        InputError: The base model's config.json cannot be read, or the strategy has no estimate.
    """
    method, data, trainer = cli.model, cli.datamodule, cli.config_init["trainer"]
    shapes = shapes_of(method.policy)
    shapes, setting = _setting(shapes, trainer, trains_tower=method.policy.adapter.trains_tower)
    setting = replace(setting, recomputes=method.policy.adapter.checkpoint_activations)
    lengths, line = lengths_of(method, data, shapes.encoder, assumptions)
    work = workload(method, lengths, items=data.batch_size)
    writing = method.generation.samples if method.generates_text else 0
    longest = method.generation.max_new_tokens
    evaluated = evaluation_workload(work, items=data.eval_batch_size, responses=writing, longest=longest)
    result = estimate(shapes, work, evaluated, setting)
    millions = f"{shapes.parameters / 1e6:.1f} M parameters, {shapes.trained / 1e6:.2f} M of them trained"
    console.print(f"policy: {method.policy.description}, {millions}", highlight=False)
    console.print(
        f"{_step_line(work, setting)}, {trainer['precision'] or '32-true'}", highlight=False, soft_wrap=True
    )
    console.print(line, highlight=False, soft_wrap=True)
    if shapes.encoder is not None and data.cache_features and not setting.trains_tower:
        size = feature_size(data, shapes.encoder, number_bytes=shapes.base_bytes)
        console.print(size, highlight=False, soft_wrap=True)
    console.print(terminal(table(result)))
    for verdict in verdicts(result, assumptions, setting):
        console.print(verdict, highlight=False, soft_wrap=True)


def _step_line(work: Workload, setting: StepSetting) -> str:
    sampled = f", {work.rollouts} responses of {work.longest} tokens to each" if work.rollouts else ""
    where = f"{setting.strategy}, {setting.processes} process{'es' if setting.processes > 1 else ''}"
    items = f"{work.items} item{'s' if work.items > 1 else ''}"
    return f"a step of one process: {items}{sampled}, {work.tokens} tokens in a pass; {where}"


def table(result: Estimate) -> ResultTable:
    """One row per part, in GB, with the phase in which it is held."""
    parts = [("all the time", name, size) for name, size in result.resident.items()]
    parts += [(phase, name, size) for phase, needs in result.phases.items() for name, size in needs.items()]
    shown = [(phase, name, size) for phase, name, size in parts if size]
    counted = ("all the time", result.largest)
    rows = tuple(
        TableRow((name, phase), (Cell(size / GB, rank=1 if phase in counted else 0),))
        for phase, name, size in shown
    )
    return ResultTable(("what", "when"), (Column("gb", "GB"),), rows)


def verdicts(result: Estimate, assumptions: Assumptions, setting: StepSetting) -> list[str]:
    """Lines with the sum, its largest part, and whether it fits the visible GPU, or else cards of the assumed sizes."""
    with_margin = result.peak * MARGIN / GB
    lines = [
        f"sum of a process, phases taking turns: {result.peak / GB:.2f} GB in the {result.largest}, most of it "
        f"{result.dominant}; with a quarter more for the allocator and what is not counted: {with_margin:.2f} GB"
    ]
    if not setting.on_cpu:
        lines.append(f"fits: {', '.join(_fits(with_margin, assumptions))}")
    lines.append("An estimate: it was compared with measurements on a CPU, and with none on a GPU.")
    return lines


def _fits(needed: float, assumptions: Assumptions) -> list[str]:
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        size = about.total_memory / GB
        return [f"{about.name} ({size:.1f} GB): {_yes(needed <= size)}"]
    return [f"{card:g} GB card: {_yes(needed <= card)}" for card in assumptions.cards]


def _yes(it_does: bool) -> str:
    return "yes" if it_does else "no"


def _setting(shapes: Shapes, trainer: Any, *, trains_tower: bool) -> tuple[Shapes, StepSetting]:
    """The model in the types that the trainer's precision gives it, and the setting of a step."""
    precision, strategy = str(trainer["precision"] or "32-true"), str(trainer["strategy"])
    half = "16" in precision
    if half and (precision.endswith("-true") or strategy.startswith("deepspeed")):
        shapes = halved(shapes)
    compute_bytes = 2 if half else shapes.base_bytes
    computing = ComputeTypes(
        bytes=compute_bytes,
        lora_bytes=compute_bytes if half or not shapes.rank else shapes.trained_bytes,
        casts=bool(shapes.rank) and shapes.trained_bytes != compute_bytes,
    )
    return shapes, StepSetting(
        computing=computing,
        strategy=strategy,
        processes=processes(trainer),
        on_cpu=trainer["accelerator"] == "cpu",
        trains_tower=trains_tower,
        accumulates=int(trainer["accumulate_grad_batches"] or 1) > 1,
    )


def halved(shapes: Shapes) -> Shapes:
    """The model with two bytes per parameter."""
    adapter_size = shapes.trained if shapes.rank else 0
    return replace(
        shapes,
        weights=(shapes.parameters - adapter_size) * 2,
        adapters=adapter_size * 2,
        base_bytes=2,
        trained_bytes=2,
    )


def processes(trainer: Any) -> int:
    """Number of processes that the trainer's settings ask for. None is started."""
    return _devices(trainer["devices"]) * int(trainer["num_nodes"] or 1)


def _devices(devices: Any) -> int:
    """Number of processes of a node, from a number, a list of devices, or all visible ones."""
    if isinstance(devices, list | tuple):
        return len(devices)
    if str(devices) in ("auto", "-1"):
        return max(1, torch.cuda.device_count())
    text = str(devices)
    return len([part for part in text.split(",") if part]) if "," in text else int(text)
