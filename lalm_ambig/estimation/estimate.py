"""`fit --estimate`: prints a table of the memory of a run, before anything is loaded."""

from dataclasses import replace
from typing import Any

import torch
from rich.console import Console

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.data.datamodule import AUTO, DataModule
from lalm_ambig.estimation.feature_size import feature_size
from lalm_ambig.estimation.fitting import Choice, Plan, first_that_fits, largest_that_fits, least
from lalm_ambig.estimation.lengths import lengths_of
from lalm_ambig.estimation.memory import Estimate, StepSetting, compute_types
from lalm_ambig.estimation.shapes import Shapes, on_a_gpu, shapes_of
from lalm_ambig.estimation.workload import Workload
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import terminal

GIB = 2.0**30
"""Bytes of a GiB, in which cards are sold."""


def print_estimate(cli: Cli, assumptions: Assumptions, console: Console) -> None:
    """Print the table. Nothing is loaded or written.

    Args:
        cli: The parsed configuration.
        assumptions: Lengths and card sizes that the user gave with the option.
        console: Where the table goes.

    Raises:
        InputError: The base model's config.json cannot be read, or the strategy has no estimate.
    """
    plan, lines = plan_of(cli, assumptions)
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    result = plan.estimate(plan.chosen)
    console.print(terminal(table(result)))
    for verdict in verdicts(plan, result, assumptions):
        console.print(verdict, highlight=False, soft_wrap=True)


def plan_of(cli: Cli, assumptions: Assumptions, data: DataModule | None = None) -> tuple[Plan, list[str]]:
    """The run that a configuration describes, and lines that say what was counted.

    Args:
        cli: The parsed configuration.
        assumptions: Lengths that the user gave.
        data: The items, if not the configuration's own.

    Raises:
        InputError: The base model's config.json cannot be read.
    """
    method, trainer = cli.model, cli.config_init["trainer"]
    data = data or cli.datamodule
    policy = method.policy
    shapes, trains = shapes_of(policy), policy.adapter.trains_tower
    if trainer["accelerator"] != "cpu":
        shapes = on_a_gpu(shapes, trains_tower=trains, cached=data.cache_features)
    shapes, setting = _setting(shapes, trainer, trains_tower=trains)
    lengths, line = lengths_of(method, data, shapes.encoder, assumptions)
    again, evaluated = policy.adapter.recompute_every, data.eval_batch_size
    plan = Plan(
        method,
        shapes,
        lengths,
        setting,
        step_items=_step_items(data, trainer, processes=setting.processes),
        names_step=data.items_per_update is not None,
        chosen=Choice(policy.quantize, again, data.batch_size, 1 if evaluated == AUTO else evaluated),
    )
    millions = f"{shapes.parameters / 1e6:.1f} M parameters, {shapes.trained / 1e6:.2f} M of them trained"
    step = _step_line(plan.work(plan.chosen), setting)
    lines = [
        f"policy: {policy.description}, {millions}",
        f"{step}, {trainer['precision'] or '32-true'}",
        line,
    ]
    if shapes.encoder is not None and data.cache_features and not setting.trains_tower:
        lines.append(feature_size(data, shapes.encoder, number_bytes=shapes.base_bytes))
    if evaluated == AUTO:
        fitted = (f"{name}: {largest_that_fits(plan, size)}" for name, size in _cards(assumptions))
        lines.append(f"items in a batch of evaluation (data.eval_batch_size auto): {', '.join(fitted)}")
    return plan, lines


def _step_items(data: Any, trainer: Any, *, processes: int) -> int:
    """Items of an optimiser step over all processes."""
    passes = int(trainer["accumulate_grad_batches"] or 1)
    return int(data.items_per_update or data.batch_size * processes * passes)


def _step_line(work: Workload, setting: StepSetting) -> str:
    sampled = f", {work.rollouts} responses of {work.longest} tokens to each" if work.rollouts else ""
    where = f"{setting.strategy}, {setting.processes} process{'es' if setting.processes > 1 else ''}"
    items = f"{work.items} item{'s' if work.items > 1 else ''}"
    return f"a step of one process: {items}{sampled}, {work.tokens} tokens in a pass; {where}"


def table(result: Estimate) -> ResultTable:
    """One row per part, in GiB, with the phase in which it is held."""
    parts = [("all the time", name, size) for name, size in result.resident.items()]
    parts += [(phase, name, size) for phase, needs in result.phases.items() for name, size in needs.items()]
    counted = ("all the time", result.largest)
    rows = tuple(
        TableRow((name, phase), (Cell(size / GIB, rank=1 if phase in counted else 0),))
        for phase, name, size in parts
        if size
    )
    return ResultTable(("what", "when"), (Column("gib", "GiB"),), rows)


def verdicts(plan: Plan, result: Estimate, assumptions: Assumptions) -> list[str]:
    """Lines with the sum, its largest part, whether it fits, and the options with which it does.

    The visible GPU is what it must fit, or else cards of the assumed sizes.
    """
    lines = [
        f"sum of a process, phases taking turns: {result.peak / GIB:.2f} GiB in the {result.largest}, most of it "
        f"{result.dominant}; with a quarter more of what comes and goes, for the allocator and what is not counted: "
        f"{result.needed / GIB:.2f} GiB"
    ]
    if not plan.setting.on_cpu:
        cards = _cards(assumptions)
        fits = [f"{name}: {'yes' if result.needed <= size else 'no'}" for name, size in cards]
        lines.append(f"fits: {', '.join(fits)}")
        lines += [_remedy(plan, name, size) for name, size in cards if result.needed > size]
    lines.append("An estimate: it was compared with peaks on a pretend accelerator, and with none on a GPU.")
    return lines


def _cards(assumptions: Assumptions) -> list[tuple[str, float]]:
    """Names of the cards, and their bytes."""
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        return [(f"{about.name} ({about.total_memory / GIB:.1f} GiB)", float(about.total_memory))]
    return [(f"{size:g} GiB card", size * GIB) for size in assumptions.cards]


def _remedy(plan: Plan, card: str, size: float) -> str:
    choice = first_that_fits(plan, size)
    if choice is None:
        return (
            f"{card}: smaller batches, layers computed again and a quantised base do not make it fit: the least that "
            f"they need is {least(plan) / GIB:.2f} GiB. Take shorter texts, fewer responses, a smaller model or larger "
            "cards."
        )
    return f"{card}: {plan.words(choice)} needs {plan.estimate(choice).needed / GIB:.2f} GiB"


def _setting(shapes: Shapes, trainer: Any, *, trains_tower: bool) -> tuple[Shapes, StepSetting]:
    """The model in the types that the trainer's precision gives it, and the setting of a step."""
    precision, strategy = str(trainer["precision"] or "32-true"), str(trainer["strategy"])
    half = "16" in precision
    if half and (precision.endswith("-true") or strategy.startswith("deepspeed")):
        shapes = halved(shapes)
    return shapes, StepSetting(
        computing=compute_types(shapes, half=half, strategy=strategy),
        strategy=strategy,
        processes=processes(trainer),
        on_cpu=trainer["accelerator"] == "cpu",
        trains_tower=trains_tower,
        accumulates=False,
        half=half,
    )


def halved(shapes: Shapes) -> Shapes:
    """The model with two bytes per parameter."""
    adapter_size = shapes.trained if shapes.rank else 0
    return replace(
        shapes,
        weights=(shapes.placed - adapter_size) * 2,
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
