"""Where an engine samples with other probabilities than the policy's, the losses weigh its tokens and responses."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from scripted import MakeMethod, gradients

from lalm_ambig.core.types import Batch, Item
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.dpo import DPO
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.grpo import GRPOExperience, GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.engines.base import Draw, Sampled
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.generate import Request

LOG_2 = math.log(2)


class Elsewhere(InProcess):
    """The own loop, as an engine whose log-probabilities are lower by so many nats, by default in turn."""

    is_exact: ClassVar[bool] = False

    def __init__(self, *shifts: float) -> None:
        self.shifts = shifts or (0.0,)

    def sample(self, policy: Policy, batch: Batch, request: Request, draw: Draw) -> Sampled:
        rows = super().sample(policy, batch, request, draw).responses
        return Sampled(
            [
                replace(
                    row,
                    log_probs=[v - self.shifts[t % len(self.shifts)] for t, v in enumerate(row.log_probs)],
                )
                for row in rows
            ]
        )


def test_an_exact_engine_changes_no_bit(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    results = []
    for engine in (None, InProcess()):
        method = on_policy(GRPO, grouping=Grouping(group_size=3), engine=engine)
        experience = method.gather(method.encoder(items))
        assert experience.token_weights is None
        method.reduce(experience).total.backward()
        results.append(gradients(method))
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name


@pytest.mark.parametrize("curated", [None, CuratedTrajectory()])
def test_an_engine_with_the_policys_probabilities_changes_nothing(
    on_policy: MakeMethod, items: Sequence[Item], curated: CuratedTrajectory | None
) -> None:
    results = []
    for engine in (None, Elsewhere()):
        objective = GRPOObjective(on_policy_kl_weight=1.0, class_mass_weight=0.5)
        method = on_policy(
            GRPO, grouping=Grouping(group_size=3), engine=engine, curated=curated, objective=objective
        )
        loss = method.reduce(method.gather(method.encoder(items))).total
        loss.backward()
        results.append(gradients(method))
    for name, value in results[0].items():
        torch.testing.assert_close(
            results[1][name], value, atol=1e-3 * float(value.abs().max()) + 1e-8, rtol=1e-2
        )


def test_tokens_are_weighed_by_the_truncated_ratio(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(
        GRPO,
        grouping=Grouping(group_size=3),
        engine=Elsewhere(0.1, -0.3, 0.2, 0.0),
        curated=CuratedTrajectory(),
    )
    experience = method.gather(method.encoder(items))
    weights, mask = experience.token_weights, experience.mask
    expected = (
        torch.tensor([0.1, -0.3, 0.2, 0.0]).exp().repeat(20)[: mask.shape[-1]].expand(mask.shape).clone()
    )
    expected[:, -1] = 1  # nobody has sampled the curated response
    torch.testing.assert_close(weights[mask], expected[mask], atol=1e-3, rtol=0)
    assert (weights[~mask] == 1).all()
    trajectories = method._trajectories([method.encoder(items)])[0]
    log_probs = trajectories.sampled_log_probs + torch.tensor(2 * LOG_2)
    weights = trajectories.with_old(log_probs).token_weights()
    assert float(weights.max()) == 2.0, "the cap"


def test_later_updates_keep_the_weights_of_the_first(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=3, updates=2), engine=Elsewhere(0.2))
    batch = method.encoder(items)
    first = method.gather(batch)
    with torch.no_grad():
        for parameter in method.policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    assert torch.equal(method.gather(batch).token_weights, first.token_weights)


def test_the_loss_is_multiplied_token_by_token_with_its_penalty() -> None:
    """Two tokens of one response: ratio 1, advantage 1, penalty k3 of r = 2 at weight 1, weights 0.5 and 2."""
    zeros = torch.zeros(1, 1, 2)
    experience = GRPOExperience(
        log_probs=zeros,
        old_log_probs=zeros,
        ref_log_probs=torch.full((1, 1, 2), LOG_2),
        mask=torch.ones(1, 1, 2, dtype=torch.bool),
        advantages=torch.ones(1, 1),
        token_weights=torch.tensor([[[0.5, 2.0]]]),
    )
    loss = GRPOObjective(kl_weight=1.0)(experience)
    one_token = -1 + (2 - LOG_2 - 1)
    assert float(loss.total) == pytest.approx((0.5 + 2) / 2 * one_token)
    assert float(loss.parts["engine_weight"]) == 1.25
    assert float(
        GRPOObjective(kl_weight=1.0)(replace(experience, token_weights=None)).total
    ) == pytest.approx(one_token)


@pytest.mark.parametrize("method_class", [SFT, DPO, GRPO])
def test_readouts_after_own_responses_are_weighed_by_the_whole_response(
    on_policy: MakeMethod, items: Sequence[Item], method_class: Any
) -> None:
    objectives: dict[Any, dict[str, Any]] = {
        SFT: {"objective": SFTObjective(on_policy_kl_weight=1.0), "group_size": 2},
        DPO: {"objective": DPOObjective(on_policy_kl_weight=1.0)},
        GRPO: {"objective": GRPOObjective(on_policy_kl_weight=1.0), "grouping": Grouping(group_size=2)},
    }
    for shift, weight in ((-0.05, math.exp(-0.05 * 9)), (0.2, 2.0)):
        method = on_policy(method_class, engine=Elsewhere(shift), tokens=10, **objectives[method_class])
        experience = method.gather(method.encoder(items))
        own = experience.supervised.own if method_class is DPO else experience.own
        full = own.importance[own.importance.sub(weight).abs() < 0.01]
        assert len(full) > own.importance.numel() / 2, "the own loop counts its last token to the closing"
        assert float(own.importance.max()) <= 2
        plain = replace(own, importance=None)
        assert float(own.divergence().detach()) != pytest.approx(float(plain.divergence().detach()), rel=1e-3)
