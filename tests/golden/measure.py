"""Measures what the bands must let through and what they must not: `python tests/golden/measure.py [WORD …]`.

Each row trains recipes under a disturbance or with a fault, and prints how many bands the farthest column is off. The
learning rate's own column is left out. Words choose rows whose name has one of them. All take ten minutes of a core.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from bands import farthest
from recipes import RECIPES, stored, train

from lalm_ambig.methods import dpo, sft
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.grouping import Comparison
from lalm_ambig.readouts.response import Tags
from lalm_ambig.rollouts.passages import ScoredSpan

ALL = tuple(RECIPES)
Patch = Callable[[pytest.MonkeyPatch], None]


def nothing(_: pytest.MonkeyPatch) -> None:
    """No change."""


def weights_moved(by: float, seed: int) -> Patch:
    """Each weight is multiplied by 1 + `by` times a standard normal number."""
    attach = Method.attach

    def moved(self: Method, encoder: Any) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.policy.parameters():
                parameter.mul_(1 + by * torch.randn(parameter.shape, generator=generator))
        attach(self, encoder)

    return lambda patch: patch.setattr(Method, "attach", moved)


def threads(count: int) -> Patch:
    """That many threads of torch."""
    return lambda _: torch.set_num_threads(count)


def sign(patch: pytest.MonkeyPatch) -> None:
    """Advantages of the wrong sign."""
    part = Comparison.part
    patch.setattr(Comparison, "part", lambda self, rewards, *, of: -part(self, rewards, of=of))


def readout(patch: pytest.MonkeyPatch) -> None:
    """Classes read one token early, after curated responses and after those that were led to their answer."""
    closing = Tags.completion_to_answer
    patch.setattr(Tags, "completion_to_answer", lambda self, text: closing(self, text)[:-1])
    for module in (sft, dpo):
        patch.setattr(module, "curated_spans", read_early(module.curated_spans))


def read_early(spans: Callable[..., list[ScoredSpan]]) -> Callable[..., list[ScoredSpan]]:
    """`curated_spans` with answer positions one token early."""

    def early(*curated: Any, **asked: Any) -> list[ScoredSpan]:
        return [
            replace(span, answer_position=int(span.answer_position or 1) - 1)
            for span in spans(*curated, **asked)
        ]

    return early


def mask(patch: pytest.MonkeyPatch) -> None:
    """CE learns the class name, which its mask leaves out."""
    spans = sft.curated_spans
    patch.setattr(sft, "curated_spans", lambda curated, **asked: spans(curated, **{**asked, "name": True}))


@dataclass(frozen=True)
class Row:
    """A disturbance or a fault."""

    name: str
    recipes: tuple[str, ...] = ALL
    words: tuple[str, ...] = ()
    patch: Patch = nothing


ROWS = (
    Row("same machine"),
    Row("two threads", patch=threads(2)),
    *(Row(f"weights 1e-6, seed {seed}", patch=weights_moved(1e-6, seed)) for seed in (1, 2)),
    Row("tokens change: weights 1e-4", ALL[1:], patch=weights_moved(1e-4, 3)),
    Row("fault: KL weight x 1.1", ("sft", "dpo"), ("--model.objective.kl_weight=1.1",)),
    Row("fault: KL weight x 1.1", ("grpo", "grpoz"), ("--model.objective.kl_weight=0.044",)),
    Row("fault: rate x 1.2", ("sft",), ("--model.optimiser.learning_rate=1.2e-3",)),
    Row("fault: rate x 1.2", ("dpo", "grpoz"), ("--model.optimiser.learning_rate=3.6e-4",)),
    Row("fault: rate x 1.2", ("grpo",), ("--model.optimiser.learning_rate=1.2e-4",)),
    Row("fault: no warm-up", ("sft", "grpo"), ("--model.optimiser.warmup_share=0",)),
    Row("fault: sign of the advantage", ("grpo", "grpoz"), patch=sign),
    Row("fault: readout one token early", ("sft", "dpo", "grpo"), patch=readout),
    Row("fault: mask of the class name", ("sft",), patch=mask),
)


def main(wanted: list[str]) -> None:
    """Print the rows of those words, or all."""
    for row in ROWS:
        if wanted and not any(word in row.name for word in wanted):
            continue
        cells = []
        for name in row.recipes:
            torch.set_num_threads(1)
            with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
                row.patch(patch)
                curves = train(name, Path(folder), *row.words)
            far = farthest(curves, stored(name), samples=RECIPES[name].samples)
            far.pop("lr-AdamW")
            worst = max(far, key=lambda column: far[column])
            cells.append(f"{name} {far[worst]:.2g} ({worst.removeprefix('train/')})")
        print(f"{row.name}: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
