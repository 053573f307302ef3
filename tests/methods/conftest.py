"""Methods around a tiny policy of their own, which says what a test wants it to say."""

from typing import Any

import pytest
from scripted import MakeMethod
from small_model import MakeEncoder, MakePolicy, nudge

from lalm_ambig.methods.base import Method
from lalm_ambig.methods.generation import Generation
from lalm_ambig.rollouts.sampling import Sampling

SHORT = Generation(max_new_tokens=4, validation_items=2)


@pytest.fixture
def on_policy(make_policy: MakePolicy, make_encoder: MakeEncoder) -> MakeMethod:
    """Builds a method class around a tiny policy of its own, nudged away from its base, ready for batches."""

    def build(
        cls: type[Method],
        *,
        tokens: int = 10,
        moved: float = 0.02,
        scoring: str = "first",
        **settings: Any,
    ) -> Any:
        policy = make_policy(projector=True)
        if moved:
            nudge(policy, by=moved)
        sampling = Sampling(max_new_tokens=tokens)
        method = cls(policy, sampling=sampling, generation=SHORT, **settings)  # type: ignore[call-arg]
        method.attach(
            make_encoder(policy, reasoning=method.reasoning, readout=method.readout, scoring=scoring)
        )
        if method.reference is not None:
            method.reference.snapshot(policy)
        return method

    return build
