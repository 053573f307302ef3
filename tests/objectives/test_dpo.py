"""DPO's loss: by hand, in its limits, and against an independent formula."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import logsigmoid

from lalm_ambig.core.errors import InputError
from lalm_ambig.objectives.dpo import DPOExperience, DPOObjective
from lalm_ambig.objectives.sft import SFTExperience

LABEL = torch.tensor([[0.5, 0.5], [1.0, 0.0]])


def experience(
    margins: list[list[float]], is_pair: list[list[bool]], *, logits: list[list[float]] | None = None
) -> DPOExperience:
    """Pairs with those margins: half from the curated response, half from the rejected one."""
    half = torch.tensor(margins) / 2
    items = len(margins)
    chosen = half[:, 0].clone().requires_grad_()
    return DPOExperience(
        chosen=chosen - 7.0,
        chosen_ref=torch.full((items,), -7.0),
        rejected=(-half).requires_grad_() - 5.0,
        rejected_ref=torch.full(half.shape, -5.0),
        is_pair=torch.tensor(is_pair),
        supervised=SFTExperience(
            token_log_probs=torch.tensor([[-1.0, -3.0]] * items),
            mask=torch.tensor([[True, True]] * items),
            category_logits=torch.tensor(logits or [[0.0, 0.0]] * items),
            label_dist=LABEL[:items],
        ),
    )


def test_by_hand() -> None:
    """β·margin = 0.5 · 2 = 1: −log σ(1) = 0.31326; CE 2 nats a token; KL 0 at p = p̂ = (½, ½)."""
    loss = DPOObjective(beta=0.5, kl_weight=0.3, ce_weight=0.1)(experience([[2.0]], [[True]]))
    assert float(loss.total.detach()) == pytest.approx(0.313262 + 0.1 * 2.0, abs=1e-5)
    assert float(loss.parts["margin"]) == pytest.approx(2.0)
    assert float(loss.parts["preference_accuracy"]) == 1.0


def test_the_divergence_is_forward_and_weighted() -> None:
    """p = (½, ½), logits (log 3, 0): p̂ = (¾, ¼); KL(p‖p̂) = ½ log(½/¾) + ½ log(½/¼) = 0.14384."""
    gathered = experience([[0.0]], [[False]], logits=[[math.log(3), 0.0]])
    loss = DPOObjective(kl_weight=2.0, ce_weight=0.0)(gathered)
    assert float(loss.parts["kl"]) == pytest.approx(0.143841, abs=1e-5)
    assert float(loss.total.detach()) == pytest.approx(2 * 0.143841, abs=1e-5)


def test_no_margin_costs_log_two() -> None:
    loss = DPOObjective(kl_weight=0.0, ce_weight=0.0)(experience([[0.0]], [[True]]))
    assert float(loss.total.detach()) == pytest.approx(math.log(2))


def test_a_larger_margin_costs_less() -> None:
    costs = [
        float(DPOObjective(kl_weight=0.0, ce_weight=0.0)(experience([[m]], [[True]])).total.detach())
        for m in (-3.0, 0.0, 3.0)
    ]
    assert costs == sorted(costs, reverse=True)


def test_an_item_without_a_negative_trains_on_the_other_terms_alone() -> None:
    both = experience([[4.0], [-9.0]], [[True], [False]])
    loss = DPOObjective(beta=1.0, kl_weight=0.0, ce_weight=0.0)(both)
    assert float(loss.total.detach()) == pytest.approx(-float(logsigmoid(torch.tensor(4.0))) / 2, abs=1e-6)
    assert float(loss.parts["items_with_negative"]) == 0.5
    none = DPOObjective(ce_weight=0.25, kl_weight=0.0)(experience([[4.0]], [[False]]))
    assert float(none.total.detach()) == pytest.approx(0.25 * 2.0)
    assert none.parts["margin"].isnan(), "no pair has no margin, which is not a margin of 0"


def test_several_negatives_are_averaged_within_their_item() -> None:
    loss = DPOObjective(beta=1.0, kl_weight=0.0, ce_weight=0.0)(
        experience([[1.0, 1.0, 9.0]], [[True, True, False]])
    )
    expected = -(logsigmoid(torch.tensor([1.0, 1.0]))).mean()
    assert float(loss.total.detach()) == pytest.approx(float(expected), abs=1e-6)


def test_gradients_push_the_curated_up_and_the_rejected_down() -> None:
    chosen, rejected = torch.zeros(1, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
    gathered = experience([[0.0]], [[True]])
    moved = DPOExperience(
        chosen, torch.zeros(1), rejected, torch.zeros(1, 1), torch.tensor([[True]]), gathered.supervised
    )
    DPOObjective(beta=0.2, kl_weight=0.0, ce_weight=0.0)(moved).total.backward()
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert chosen.grad.tolist() == pytest.approx([-0.1])
    assert rejected.grad[0].tolist() == pytest.approx([0.1])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("beta", 0.0, "DPO: beta must be positive, got 0.0"),
        ("kl_weight", -1.0, "DPO: kl_weight must be at least 0, got -1.0"),
        ("ce_weight", -1.0, "DPO: ce_weight must be at least 0, got -1.0"),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DPOObjective(**{field: value})


def test_the_class_mass_is_a_term_of_its_own() -> None:
    gathered = experience([[0.0]], [[False]])
    share = torch.tensor([0.2])
    heard = replace(gathered, supervised=replace(gathered.supervised, log_class_mass=share.log()))
    plain = DPOObjective(ce_weight=0.0)(heard).total
    loss = DPOObjective(ce_weight=0.0, class_mass_weight=0.5)(heard)
    assert float((loss.total - plain).detach()) == pytest.approx(-0.5 * math.log(0.2), abs=1e-5)
    assert float(loss.parts["class_mass"]) == pytest.approx(0.2)
    with pytest.raises(InputError, match="DPO: class_mass_weight must be at least 0, got -1"):
        DPOObjective(class_mass_weight=-1.0)
