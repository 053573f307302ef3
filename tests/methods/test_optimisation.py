"""AdamW's groups and the schedule, by hand."""

import math

import pytest
import torch
from small_model import MakePolicy

from lalm_ambig.core.errors import InputError
from lalm_ambig.methods.dpo import DPO
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.optimisation import Optimiser, cosine_schedule, parameter_groups
from lalm_ambig.methods.sft import SFT


def rates(steps: int, *, warmup_share: float) -> list[float]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = cosine_schedule(optimiser, steps, warmup_share=warmup_share)
    learning_rates = []
    for _ in range(steps + 1):
        learning_rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return learning_rates


def test_the_rate_rises_linearly_then_falls_by_half_a_cosine() -> None:
    learning_rates = rates(12, warmup_share=0.33)  # four steps of warm-up
    assert learning_rates[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert learning_rates[4] == pytest.approx(2.0)
    assert learning_rates[6] == pytest.approx(1 + math.sqrt(0.5))
    assert learning_rates[8] == pytest.approx(1.0)
    assert learning_rates[10] == pytest.approx(1 - math.sqrt(0.5))
    assert learning_rates[12] == pytest.approx(0.0)


def test_three_per_cent_of_a_hundred_steps_are_three() -> None:
    learning_rates = rates(100, warmup_share=0.03)
    assert learning_rates[:3] == pytest.approx([2 / 3, 4 / 3, 2.0])
    assert learning_rates[3] == max(learning_rates)
    assert learning_rates[3:] == sorted(learning_rates[3:], reverse=True)


def test_a_single_step_is_taken_at_the_full_rate() -> None:
    assert rates(1, warmup_share=0.03)[0] == 2.0


def test_matrices_decay_vectors_do_not_and_the_projector_has_its_own_rate(make_policy: MakePolicy) -> None:
    policy = make_policy(projector=True)
    settings = Optimiser(learning_rate=1e-4, projector_learning_rate=1e-3, weight_decay=0.1)
    groups = {
        (group["lr"], group["weight_decay"]): group["params"] for group in parameter_groups(policy, settings)
    }
    assert set(groups) == {(1e-4, 0.1), (1e-3, 0.1), (1e-3, 0.0)}
    assert [p.shape for p in groups[1e-3, 0.1]] == [(192, 128)]
    assert [p.shape for p in groups[1e-3, 0.0]] == [(192,)]
    assert len(groups[1e-4, 0.1]) == 4 * 7 * 2
    trained = {id(p) for p in policy.parameters() if p.requires_grad}
    assert {id(p) for group in groups.values() for p in group} == trained


def test_without_a_rate_of_its_own_the_projector_has_everyones(make_policy: MakePolicy) -> None:
    groups = parameter_groups(make_policy(projector=True), Optimiser(learning_rate=2e-4))
    assert {group["lr"] for group in groups} == {2e-4}


@pytest.mark.parametrize(("method", "rate"), [(SFT, 1e-4), (DPO, 5e-6), (GRPO, 2e-5)])
def test_another_setting_leaves_the_method_its_own_rate(
    make_policy: MakePolicy, method: type[SFT | DPO | GRPO], rate: float
) -> None:
    given = method(make_policy(), optimiser=Optimiser(weight_decay=0.1)).optimiser
    assert (given.peak, given.weight_decay) == (rate, 0.1)
    assert method(make_policy()).optimiser.peak == rate
    assert method(make_policy(), optimiser=Optimiser(learning_rate=3e-4)).optimiser.peak == 3e-4


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"learning_rate": 0.0}, "model.optimiser: learning_rate must be positive, got 0.0"),
        ({"warmup_share": 1.0}, r"warmup_share must be in \[0, 1\), got 1.0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0, got -0.1"),
        ({"projector_learning_rate": -1.0}, "projector_learning_rate must be positive, got -1.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        Optimiser(**settings)
