"""Methods whose engine samples the next step while a step trains: what they ask, and what they make of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from scripted import MakeMethod
from small_model import nudge

from lalm_ambig.core.types import Batch, Item, StepPlace
from lalm_ambig.methods.dpo import DPO
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.base import Policy
from lalm_ambig.rewards.shala import Shala
from lalm_ambig.rollouts.engines.base import Draw, Sampled
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.generate import Request, Response
from lalm_ambig.runs.session import needs_of

SETTINGS: dict[Any, dict[str, Any]] = {
    SFT: {"objective": SFTObjective(on_policy_kl_weight=1.0), "group_size": 2},
    DPO: {},
    GRPO: {"grouping": Grouping(group_size=2)},
}


class Early(InProcess):
    """The own loop, as an engine that has its answers before anybody waits for them."""

    is_exact: ClassVar[bool] = False

    def __init__(self, *, overlap: bool = True) -> None:
        super().__init__()
        self.overlap = overlap
        self.begun: list[tuple[Draw, list[str]]] = []
        self.ready: dict[tuple[Draw, str], Sequence[Response]] = {}

    def begin(self, policy: Policy, batches: Sequence[Batch], request: Request, draw: Draw) -> None:
        for batch in batches:
            rows = super().sample(policy, batch, request, draw).responses
            size = request.group_size
            for n, item in enumerate(batch.items):
                self.ready[draw, item.id] = rows[n * size : (n + 1) * size]
        self.begun.append((draw, [item.id for batch in batches for item in batch.items]))

    def sample(self, policy: Policy, batch: Batch, request: Request, draw: Draw) -> Sampled:
        if not all((draw, item.id) in self.ready for item in batch.items):
            return Sampled(super().sample(policy, batch, request, draw).responses)
        return Sampled([row for item in batch.items for row in self.ready[draw, item.id]], ahead=True)


def at_step(method: Any, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(type(method), "global_step", step)


def before(batch: Batch, *ahead: Batch) -> Batch:
    """The only batch of a step, with those of the next."""
    return replace(batch, step=StepPlace(0, 1, len(batch.items), ahead=ahead))


@pytest.mark.parametrize("cls", SETTINGS)
def test_the_next_steps_responses_are_of_this_steps_weights(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch, cls: Any
) -> None:
    engine = Early()
    method = on_policy(cls, engine=engine, **SETTINGS[cls])
    first, second = method.encoder(items[:1]), method.encoder(items[1:3])
    assert needs_of(method).next_step
    at_step(method, monkeypatch, 3)
    method.gather(before(first, second))
    assert engine.begun == [(Draw(0, 4), [item.id for item in items[1:3]])]
    nudge(method.policy, seed=1, by=0.01)
    at_step(method, monkeypatch, 4)
    method.gather(before(second))
    assert len(engine.begun) == 1, "nothing comes after the end of an epoch"
    sampled = [row.text for item in items[1:3] for row in engine.ready[Draw(0, 4), item.id]]
    assert [row["response"] for row in method.rollout_rows] == sampled


@pytest.mark.parametrize("engine", [None, InProcess(), Early(overlap=False)])
def test_without_overlap_nothing_is_asked_ahead(
    on_policy: MakeMethod, items: Sequence[Item], engine: Any
) -> None:
    method = on_policy(GRPO, engine=engine, **SETTINGS[GRPO])
    assert not needs_of(method).next_step
    method.gather(before(method.encoder(items[:1]), method.encoder(items[1:])))
    assert not getattr(engine, "begun", [])
    state: dict[str, Any] = {"state_dict": {}}
    method.on_save_checkpoint(state)
    assert "ahead" not in state


def test_tokens_are_weighed_from_the_weights_that_sampled_to_the_present_ones(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old log-probabilities are those of the present weights: the first ratio is 1, and the weight has the step."""
    method = on_policy(GRPO, engine=Early(), grouping=Grouping(group_size=2, updates=2))
    first, second = method.encoder(items[:1]), method.encoder(items[1:3])
    at_step(method, monkeypatch, 0)
    method.gather(before(first, second))
    nudge(method.policy, seed=1, by=0.01)
    at_step(method, monkeypatch, 2)
    experience = method.gather(before(second))
    torch.testing.assert_close(experience.log_probs.detach(), experience.old_log_probs)
    held = list(method.rollout_buffer.held.values())[-1]
    mask = experience.mask
    expected = (experience.old_log_probs - held.rollouts.sampled_log_probs).exp().clamp(max=2)
    torch.testing.assert_close(experience.token_weights[mask], expected[mask])
    assert float((experience.token_weights[mask] - 1).abs().max()) > 0.02
    nudge(method.policy, seed=2, by=0.01)
    again = method.gather(before(second))
    assert torch.equal(again.token_weights, experience.token_weights), "as long as the responses are used"
    assert float((again.log_probs - again.old_log_probs)[mask].detach().abs().max()) > 1e-3


def test_several_updates_ask_for_the_step_that_samples_next(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Early()
    method = on_policy(GRPO, engine=engine, grouping=Grouping(group_size=2, updates=3))
    at_step(method, monkeypatch, 6)
    batch = method.encoder(items[:1])
    method.gather(before(batch, method.encoder(items[1:])))
    for _ in range(2):
        method.gather(before(batch))
    assert [draw for draw, _ in engine.begun] == [Draw(0, 9)]


def test_unanimous_items_are_not_asked_for_ahead_either(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Early()
    grouping = Grouping(group_size=2, advantage_scale="none", skip_unanimous=True)
    method = on_policy(
        GRPO, engine=engine, grouping=grouping, rewards=[Shala()], objective=GRPOObjective(kl_weight=0.0)
    )
    unanimous = replace(items[0], id="unanimous", votes=(5.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    contested = replace(items[0], id="contested")
    at_step(method, monkeypatch, 0)
    mixed = [method.encoder([unanimous, contested]), method.encoder([unanimous])]
    method.gather(before(method.encoder([unanimous, items[0], contested]), *mixed))
    assert engine.begun == [(Draw(0, 1), ["contested"])]
    assert float(method.values["groups_skipped"].mean()) == pytest.approx(1 / 3)
    assert bool(method.reduce(method.gather(before(mixed[0]))).total.detach().isfinite())
