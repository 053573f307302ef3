"""What an update's gradient is made of: the norm of each term, and how far two halves of the update agree.

Two halves of an update ask the same question of different items. A cosine near 1 between their gradients says that the
update would be the same with other items, one near 0 that it is noise. Both are measured on the pass that is computed
anyway, by one more backward pass per term and half.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.types import Batch, Loss

NOISE = 0.1
"""Cosine under which an update is called noise."""


@dataclass
class GradientGauge:
    """Measures every so many optimiser steps, from the first on."""

    every: int = 0
    """Steps between two measurements; 0 for none."""
    step: int = -1
    """The step that is being measured."""
    halves: list[Tensor | None] = field(default_factory=lambda: [None, None])
    """Gradients of the two halves of the step so far."""
    measured: dict[str, float] = field(default_factory=dict)
    """By name in the log: norms of the terms in the step's first pass, and the cosine of its halves."""

    def is_due(self, step: int) -> bool:
        """Whether this step is measured."""
        return self.every > 0 and step % self.every == 0

    def terms(self, loss: Loss, parameters: Sequence[Tensor]) -> None:
        """Measure the norm of each term's gradient, as it is weighted in the loss.

        Args:
            loss: The loss of a pass, with its terms.
            parameters: What is trained.
        """
        norms = {name: _gradient(term, parameters) for name, term in loss.terms.items() if term.requires_grad}
        self.measured = {f"gradient/{name}": float(value.norm()) for name, value in norms.items()}

    def measure(
        self,
        experience: Any,
        batch: Batch,
        reduce: Callable[[Any], Loss],
        loss: Loss,
        *,
        trained: Sequence[Tensor],
    ) -> bool:
        """Measure the gradients of a pass; whether it was the step's last, so that all is measured.

        Args:
            experience: What was gathered.
            batch: The batch of the pass.
            reduce: The objective, for halves of the experience.
            loss: Its value for the whole.
            trained: What is trained.
        """
        number, passes = (0, 1) if batch.step is None else (batch.step.number, batch.step.passes)
        if number == 0:
            self.terms(loss, trained)
        if passes > 1:
            self.add(loss.total * len(batch.items), trained, number=number)
        elif (halves := halves_of(experience)) is not None:
            self.add((reduce(halves[0]).total, reduce(halves[1]).total), trained, number=0)
        if number + 1 == passes:
            self.finish()
        return number + 1 == passes

    def add(
        self, losses: tuple[Tensor, Tensor] | Tensor, parameters: Sequence[Tensor], *, number: int
    ) -> None:
        """Add a pass to the halves.

        Args:
            losses: The loss of each half of a step's only pass, or that of one pass of several.
            parameters: What is trained.
            number: Which pass it is: even ones make one half, odd ones the other.
        """
        parts = enumerate(losses) if isinstance(losses, tuple) else [(number % 2, losses)]
        for half, loss in parts:
            gradient, so_far = _gradient(loss, parameters), self.halves[half]
            self.halves[half] = gradient if so_far is None else so_far + gradient

    def finish(self) -> None:
        """Compare the halves of the step, summed over all processes. All must call."""
        first, second = self.halves
        self.halves = [None, None]
        if not all(distributed.all_gather_object(first is not None and second is not None)):
            return
        assert first is not None
        assert second is not None
        for half in (first, second):
            distributed.all_reduce_sum(half)
        self.measured["gradient/cosine_of_halves"] = float(torch.cosine_similarity(first, second, dim=0))

    def notes(self, *, first: bool) -> list[str]:
        """Lines for the user: the norms of the terms, and a warning where the halves hardly agree.

        Args:
            first: Whether this is the run's first step, after which the norms are told.
        """
        measured = dict(self.measured)
        cosine = measured.pop("gradient/cosine_of_halves", None)
        notes = []
        if first and len(measured) > 1:
            norms = (f"{name.partition('/')[2]} {value:.3g}" for name, value in measured.items())
            notes.append(f"gradient norms on the first batch, as weighted: {', '.join(norms)}")
        if cosine is not None and cosine < NOISE:
            notes.append(
                f"this update is noise: the gradients of its two halves have a cosine of {cosine:.2f}; more prompts "
                "per update (data.items_per_update) or a larger group_size make it less so"
            )
        return notes


def halves_of(experience: Any) -> tuple[Any, Any] | None:
    """An experience as two, of the first and the last half of its items; None where it has one item.

    Args:
        experience: A record whose tensors have items as their first axis, except for numbers.
    """
    items = _items(experience)
    if items < 2:
        return None
    return _part(experience, slice(items // 2), items), _part(experience, slice(items // 2, None), items)


def _items(experience: Any) -> int:
    """Number of items: the longest first axis of its tensors."""
    values = [getattr(experience, one.name) for one in fields(experience)]
    return max(
        [value.shape[0] for value in values if isinstance(value, Tensor) and value.ndim]
        + [_items(value) for value in values if is_dataclass(value)],
        default=0,
    )


def _part(experience: Any, rows: slice, items: int) -> Any:
    parts: dict[str, Any] = {}
    for one in fields(experience):
        value = getattr(experience, one.name)
        if is_dataclass(value):
            parts[one.name] = _part(value, rows, items)
        elif isinstance(value, Tensor) and value.ndim and value.shape[0] == items:
            parts[one.name] = value[rows]
    return replace(experience, **parts)


def _gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The gradient as one vector; the graph stays for what follows."""
    parts = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    rows: Mapping[int, Tensor] = {n: part for n, part in enumerate(parts) if part is not None}
    return torch.cat([rows.get(n, torch.zeros_like(p)).flatten().float() for n, p in enumerate(parameters)])
