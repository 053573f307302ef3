"""What is told of an update's gradient: the norms of its terms, and the cosine of its halves."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripted import MakeMethod

from lalm_ambig.core.types import Item, StepPlace
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.gradient_gauge import GradientGauge, halves_of
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective

ALL: dict[str, tuple[Any, dict[str, Any]]] = {
    "sft": (SFT, {"objective": SFTObjective(on_policy_kl_weight=1.0, class_mass_weight=0.5)}),
    "dpo": (
        DPO,
        {"objective": DPOObjective(on_policy_kl_weight=1.0), "negatives": Negatives(js_threshold=0.05)},
    ),
    "grpo": (
        GRPO,
        {
            "objective": GRPOObjective(on_policy_kl_weight=1.0, curated_ce_weight=1.0, average="constant"),
            "grouping": Grouping(group_size=3),
        },
    ),
}


def gradient(loss: torch.Tensor, method: Any) -> torch.Tensor:
    trained = [p for p in method.policy.parameters() if p.requires_grad]
    parts = torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(trained, parts, strict=True)]
    )


@pytest.mark.parametrize("name", ALL)
def test_terms_add_up_and_halves_are_those_of_the_items(
    on_policy: MakeMethod, items: Sequence[Item], name: str
) -> None:
    cls, settings = ALL[name]
    method = on_policy(cls, **settings)
    batch = method.encoder(items[:2])
    experience = method.gather(batch)
    loss = method.reduce(experience)
    assert len(loss.terms) >= 3
    torch.testing.assert_close(torch.stack([*loss.terms.values()]).sum(), loss.total)
    halves = halves_of(experience)
    assert halves is not None
    torch.testing.assert_close(
        sum(method.reduce(half).total for half in halves) / 2, loss.total, atol=1e-5, rtol=1e-4
    )
    gauge = GradientGauge(every=1)
    trained = [p for p in method.policy.parameters() if p.requires_grad]
    gauge.terms(loss, trained)
    for term, value in loss.terms.items():
        if value.requires_grad:
            assert gauge.measured[f"gradient/{term}"] == pytest.approx(
                float(gradient(value, method).norm()), rel=1e-3, abs=1e-6
            )
    gauge.add((method.reduce(halves[0]).total, method.reduce(halves[1]).total), trained, number=0)
    gauge.finish()
    one, other = (gradient(method.reduce(half).total, method) for half in halves)
    assert gauge.measured["gradient/cosine_of_halves"] == pytest.approx(
        float(torch.cosine_similarity(one, other, dim=0)), abs=1e-4
    )
    loss.total.backward()  # the graph is still there


def test_a_step_of_several_passes_is_halved_by_passes(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    cls, settings = ALL["grpo"]
    whole, divided = (on_policy(cls, **settings) for _ in range(2))
    for method in (whole, divided):
        method.log_dict = lambda *_, **__: None
        method.gauge.every = 1
    two = [method.encoder(items[:2]) for method in (whole, divided)]
    whole.training_step(replace(two[0], step=StepPlace(0, 1, 2)), 0)
    later = two[1].select([1])
    divided.training_step(replace(two[1].select([0]), step=StepPlace(0, 2, 2, (later,))), 0)
    assert "gradient/cosine_of_halves" not in divided.gauge.measured
    divided.training_step(replace(later, step=StepPlace(1, 2, 2)), 1)
    assert divided.gauge.measured["gradient/cosine_of_halves"] == pytest.approx(
        whole.gauge.measured["gradient/cosine_of_halves"], abs=1e-3
    )


def test_measuring_changes_nothing(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    results = []
    for every in (0, 1):
        cls, settings = ALL["grpo"]
        method = on_policy(cls, **settings)
        method.log_dict = lambda *_, **__: None
        method.gauge.every = every
        method.training_step(method.encoder(items[:2]), 0).backward()
        results.append([p.grad.clone() for p in method.policy.parameters() if p.grad is not None])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("cosine", "lines"), [(0.05, 1), (-0.3, 1), (0.1, 0), (0.7, 0), (float("nan"), 0)])
def test_noise_is_told(cosine: float, lines: int) -> None:
    gauge = GradientGauge(every=5, measured={"gradient/policy": 2.0, "gradient/ce": 0.04})
    gauge.measured["gradient/cosine_of_halves"] = cosine
    notes = gauge.notes(first=False)
    assert len(notes) == lines
    assert not lines or "this update is noise" in notes[0]
    assert gauge.notes(first=True)[0].endswith("policy 2, ce 0.04")


def test_it_is_due_every_so_many_steps() -> None:
    assert [step for step in range(12) if GradientGauge(every=5).is_due(step)] == [0, 5, 10]
    assert not GradientGauge().is_due(0)


def test_one_item_has_no_halves(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=2))
    assert halves_of(method.gather(method.encoder(items[:1]))) is None
