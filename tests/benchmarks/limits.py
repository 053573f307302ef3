"""How long a step must take at least on this machine, by what its matrix products and its memory are seen to do.

Counted is the work that no implementation can leave out: the linear layers and the head over each distinct token once
forward and once backward, a reference's forward pass, the prompts read before sampling, and the weights read once per
decode step. Attention, norms, LoRA and softmax are left out, so the whole of a step cannot reach it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

TOKENS = 2048
"""Rows of the product that measures arithmetic."""
TRIALS = 5


@dataclass(frozen=True)
class Work:
    """What a step must do."""

    trained: int
    """Distinct tokens of the training pass; a shared prompt counts once."""
    scored: int
    """Tokens whose log-probabilities are trained."""
    read: int = 0
    """Prompt tokens read before sampling."""
    steps: int = 0
    """Decode steps, all prompts in one loop."""
    rows: int = 1
    """Rows of a decode step."""
    reference: bool = False
    """Whether the same tokens also pass through a reference."""


@dataclass(frozen=True)
class Limits:
    """What this machine does with the threads at hand."""

    gflops: float
    """Of a large matrix product."""
    gb_s: float
    """Of weights read in a product of a decode step's rows with the head, packed or plain, whichever is faster."""

    def least_s(self, work: Work, model: Any) -> float:
        """Seconds below which a step cannot come.

        Args:
            work: The step's work.
            model: A causal language model of transformers, inside PEFT's wrapper or not.
        """
        head = model.get_output_embeddings().weight
        inside = [m for m in model.modules() if type(m) is nn.Linear and m.weight is not head]
        linear = sum(m.weight.numel() for m in inside if "lora" not in type(m).__name__.lower())
        linear -= sum(p.numel() for name, p in model.named_parameters() if "lora_" in name)
        passes = 2 + work.reference
        numbers = linear * (passes * work.trained + work.read) + head.numel() * passes * work.scored
        bytes_a_step = (linear + head.numel()) * head.element_size()
        return 2e-9 * numbers / self.gflops + 1e-9 * work.steps * bytes_a_step / self.gb_s


def measured(dtype: torch.dtype, *, rows: int, head: torch.Tensor) -> Limits:
    """Measure this machine with the number of threads that torch has.

    Args:
        dtype: Type of the products.
        rows: Rows of a decode step.
        head: The model's head, for its shape.
    """
    wide, narrow = head.shape[1], 3 * head.shape[1]
    inputs, weight = torch.randn(TOKENS, wide).to(dtype), torch.randn(narrow, wide).to(dtype)
    large = _fastest(lambda: nn.functional.linear(inputs, weight))
    few, whole = torch.randn(max(1, rows), wide).to(dtype), head.detach().to(dtype)
    ways = [lambda: nn.functional.linear(few, whole)]
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(whole, len(few))
        ways.append(lambda: torch.ops.mkldnn._linear_pointwise(few, packed, None, "none", [], ""))
    except (AttributeError, RuntimeError):
        pass
    return Limits(
        gflops=2e-9 * TOKENS * wide * narrow / large,
        gb_s=1e-9 * whole.nbytes / min(map(_fastest, ways)),
    )


def _fastest(work: Callable[[], Any], *, repeat: int = 10) -> float:
    """Seconds of one call, the best of several trials."""
    work()
    best = float("inf")
    for _ in range(TRIALS):
        start = time.perf_counter()
        for _ in range(repeat):
            work()
        best = min(best, (time.perf_counter() - start) / repeat)
    return best
