"""The options that make a run fit a card: combinations are tried in the order of what they cost, the first one wins.

1. `data.eval_batch_size`, then `data.batch_size` with `data.items_per_update` kept: the same numbers, a little slower.
2. `policy.adapter.checkpoint_activations`: the same numbers, up to a third more time. Of a quarter of the layers, of
   half, of all.
3. `policy.quantize`, eight bits before four: a rounded base model.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lalm_ambig.config.precision import WHOLE
from lalm_ambig.estimation.memory import (
    Estimate,
    StepSetting,
    compute_types,
    estimate,
    evaluation_workload,
)
from lalm_ambig.estimation.shapes import Shapes
from lalm_ambig.estimation.workload import Lengths, Workload, workload
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.weights.quantised_base import Quantize

EVAL_SIZES = (64, 32, 16, 8, 4, 2, 1)
"""Batches that are tried, the largest first: larger ones are no faster on any card."""
RECOMPUTED = (4, 2, 1)
"""Distances that are tried: every fourth layer is computed again, every second, all."""
HELD_BY_TRAINING = ("optimizer state", "gradients", "reference's copy")
"""Parts of the estimate that a policy does not hold when it is only evaluated."""


@dataclass(frozen=True)
class Choice:
    """The settings that may be changed so that a run fits."""

    quantize: Quantize | None
    recompute_every: int
    """0 for no layer, 1 for all."""
    batch_size: int
    eval_batch_size: int


@dataclass(frozen=True)
class Plan:
    """A run as far as memory goes."""

    method: Method
    shapes: Shapes
    """The model, with the weights of `chosen`."""
    lengths: Lengths
    setting: StepSetting
    """`recompute_every` and `accumulates` follow from a choice."""
    step_items: int
    """Items of an optimiser step over all processes."""
    names_step: bool
    """Whether the configuration has them in `data.items_per_update`."""
    chosen: Choice
    """What the configuration says."""

    def work(self, choice: Choice) -> Workload:
        """A training step of one process."""
        return workload(self.method, self.lengths, items=choice.batch_size)

    def estimate(self, choice: Choice, *, responses: int | None = None) -> Estimate:
        """Bytes of one process with these settings.

        Args:
            choice: The settings.
            responses: Responses per item of an evaluation; None for as many as the configuration says.

        Raises:
            InputError: No estimate is known for the strategy.
        """
        generation = self.method.generation
        written = (responses or generation.samples) if self.method.generates_text else 0
        work = self.work(choice)
        evaluated = evaluation_workload(
            work, items=choice.eval_batch_size, responses=written, longest=generation.max_new_tokens
        )
        packs = choice.quantize is not None and choice.quantize != self.chosen.quantize
        shapes = self.shapes.quantise(choice.quantize) if packs and choice.quantize else self.shapes
        setting = replace(
            self.setting,
            recompute_every=choice.recompute_every,
            accumulates=self.step_items > choice.batch_size * self.setting.processes,
        )
        if packs:
            types = compute_types(shapes, half=setting.half, strategy=setting.strategy)
            setting = replace(setting, computing=types)
        return estimate(shapes, work, evaluated, setting)

    def alternatives(self) -> Iterator[Choice]:
        """Choices from the cheapest to the dearest, the configuration's own first."""
        now = self.chosen
        for quantize in self._bases():
            for every in _more_often(now.recompute_every):
                for batch_size in _divisors(now.batch_size):
                    for eval_batch_size in _halves(now.eval_batch_size):
                        yield Choice(quantize, every, batch_size, eval_batch_size)

    def _bases(self) -> tuple[Quantize | None, ...]:
        """The base's own weights, and packed ones where they are allowed."""
        allowed = self.shapes.rank > 0 and self.setting.strategy in WHOLE
        if self.chosen.quantize is not None or not allowed:
            return (self.chosen.quantize,)
        return (None, "int8", "nf4")

    def words(self, choice: Choice) -> str:
        """Options of the command line that turn the configuration into this choice, the step's items kept."""
        now, words = self.chosen, []
        if choice.eval_batch_size != now.eval_batch_size:
            words.append(f"--data.eval_batch_size {choice.eval_batch_size}")
        if choice.batch_size != now.batch_size:
            words.append(f"--data.batch_size {choice.batch_size}")
            words += [] if self.names_step else [f"--data.items_per_update {self.step_items}"]
        if choice.recompute_every != now.recompute_every:
            words += [] if now.recompute_every else ["--policy.adapter.checkpoint_activations true"]
            if choice.recompute_every != self.method.policy.adapter.checkpoint_every:
                words.append(f"--policy.adapter.checkpoint_every {choice.recompute_every}")
        if choice.quantize != now.quantize:
            words.append(f"--policy.quantize {choice.quantize}")
        return " ".join(words)


def first_that_fits(plan: Plan, size: float) -> Choice | None:
    """The cheapest choice that needs at most so many bytes; None where there is none."""
    return next((choice for choice in plan.alternatives() if plan.estimate(choice).needed <= size), None)


def least(plan: Plan) -> float:
    """Bytes that the smallest choice needs."""
    return min(plan.estimate(choice).needed for choice in plan.alternatives())


def largest_that_fits(plan: Plan, size: float, *, responses: int | None = None) -> int:
    """The largest of `EVAL_SIZES` whose evaluation needs at most so many bytes; 1 where none does.

    Args:
        plan: The run.
        size: Free bytes.
        responses: Responses per item, in an evaluation without training; None for a run that trains, too.
    """

    def fits(items: int) -> bool:
        result = plan.estimate(replace(plan.chosen, eval_batch_size=items), responses=responses)
        if responses is not None:
            held = {name: part for name, part in result.resident.items() if name not in HELD_BY_TRAINING}
            result = replace(result, resident=held)
        return result.needed_in("evaluation") <= size

    return next((items for items in EVAL_SIZES if fits(items)), 1)


def _more_often(every: int) -> Iterator[int]:
    """Distances of layers that are computed again: that of the configuration, then those that save more."""
    yield every
    yield from (one for one in RECOMPUTED if one < every or not every)


def _divisors(number: int) -> Iterator[int]:
    """The divisors of a number, the largest first: batches of such a size divide a step as that number does."""
    return (size for size in range(number, 0, -1) if number % size == 0)


def _halves(number: int) -> Iterator[int]:
    """The number, and its halves down to 1."""
    while number > 1:
        yield number
        number //= 2
    yield 1
