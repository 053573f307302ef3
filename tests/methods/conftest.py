"""Methods around a tiny policy of their own, which says what a test wants it to say."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from small_model import MakeEncoder, MakePolicy, nudge

from lalm_ambig.methods.base import Generation, Method
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.sampling import Sampling

MakeMethod = Callable[..., Any]
SHORT = Generation(max_new_tokens=4, validation_items=2)


@pytest.fixture
def on_policy(make_policy: MakePolicy, make_encoder: MakeEncoder) -> MakeMethod:
    """Builds a method class around a tiny policy of its own, nudged away from its base, ready for batches."""

    def build(cls: type[Method], *, tokens: int = 10, moved: float = 0.02, **settings: Any) -> Any:
        policy = make_policy(projector=True)
        if moved:
            nudge(policy, by=moved)
        sampling = Sampling(max_new_tokens=tokens)
        method = cls(policy, sampling=sampling, generation=SHORT, **settings)  # type: ignore[call-arg]
        method.attach(make_encoder(policy))
        if method.reference is not None:
            method.reference.take(policy)
        return method

    return build


def say(policy: Tiny, monkeypatch: pytest.MonkeyPatch, texts: Sequence[str]) -> None:
    """Make the policy sample these responses, row by row; its states and log-probabilities stay its own."""
    scripts = [[*policy.text_ids(text), policy.end_ids[0]] for text in texts]
    step = [0]

    def choose(logits: torch.Tensor, _: Any, __: Any) -> tuple[torch.Tensor, torch.Tensor]:
        now, step[0] = step[0], step[0] + 1
        ids = torch.tensor([row[min(now, len(row) - 1)] for row in scripts])
        return ids, logits.log_softmax(-1).gather(-1, ids[:, None])[:, 0]

    monkeypatch.setattr("lalm_ambig.rollouts.generate.choose", choose)


def gradients(method: Method) -> dict[str, torch.Tensor]:
    """Of everything that is trained."""
    return {n: p.grad.clone() for n, p in method.policy.named_parameters() if p.grad is not None}
