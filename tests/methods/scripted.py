"""A policy that says what a test wants it to say, and what was learnt from it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from lalm_ambig.methods.base import Method
from lalm_ambig.policies.tiny import Tiny

MakeMethod = Callable[..., Any]
"""Takes a method's class and its settings."""


def say(policy: Tiny, monkeypatch: pytest.MonkeyPatch, texts: Sequence[str]) -> None:
    """Make the policy sample these responses, row by row; its states and log-probabilities stay its own."""
    scripts = [[*policy.text_ids(text), policy.end_ids[0]] for text in texts]
    step = [0]

    def choose(logits: torch.Tensor, _: Any, __: Any) -> tuple[torch.Tensor, torch.Tensor]:
        now, step[0] = step[0], step[0] + 1
        ids = torch.tensor([row[min(now, len(row) - 1)] for row in scripts])
        return ids, logits.log_softmax(-1).gather(-1, ids[:, None])[:, 0]

    monkeypatch.setattr("lalm_ambig.rollouts.generate.FEWEST_ROWS", len(texts))  # every row to the end
    monkeypatch.setattr("lalm_ambig.rollouts.stepping.choose_tokens", choose)


def gradients(method: Method) -> dict[str, torch.Tensor]:
    """Of everything that is trained."""
    return {n: p.grad.clone() for n, p in method.policy.named_parameters() if p.grad is not None}
