"""The class mass has one value and two gradients: its own, and one that moves all class names alike."""

import pytest
import torch
from torch import Tensor

from lalm_ambig.core.types import MassGradient
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.on_policy import mass_gradient
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.scoring import category_scores, log_class_mass


@pytest.fixture
def encoder(tiny: Tiny, make_encoder) -> Encoder:
    return make_encoder(tiny)


def anchors_of(policy: Tiny, rows: int = 3) -> Tensor:
    """Hidden states whose shares differ."""
    width = policy.model.get_output_embeddings().weight.shape[1]
    return (4 * torch.randn(rows, width, generator=torch.Generator().manual_seed(0))).requires_grad_()


def mass_and_gradient(policy: Tiny, encoder: Encoder, gradient: MassGradient) -> tuple[Tensor, Tensor]:
    assert encoder.answer is not None
    anchors = anchors_of(policy)
    scores = category_scores(policy, encoder.answer, anchors)
    mass = log_class_mass(policy, encoder.answer, anchors, scores, gradient=gradient)
    return mass.detach(), torch.autograd.grad(mass.sum(), anchors)[0]


def expected(policy: Tiny, encoder: Encoder, gradient: MassGradient) -> tuple[Tensor, Tensor]:
    """By the whole vocabulary's logits, and the gradient of each logit by its formula."""
    assert encoder.answer is not None
    anchors, names = anchors_of(policy), list(encoder.answer.first_ids)
    everything = torch.arange(policy.logits(anchors).shape[-1])
    logits = policy.category_logits(anchors, everything)
    shares = logits.softmax(-1)
    mass = shares[:, names].sum(-1, keepdim=True)
    of_logits = -shares
    of_classes = (
        shares[:, names] / mass if gradient == "exact" else torch.full((1, len(names)), 1 / len(names))
    )
    of_logits = of_logits.index_copy(1, torch.tensor(names), (1 - mass) * of_classes.expand(len(logits), -1))
    return mass[:, 0].log().detach(), torch.autograd.grad(logits, anchors, of_logits.detach())[0]


@pytest.mark.parametrize("gradient", ["exact", "even"])
def test_each_gradient_is_the_one_that_its_formula_says(
    tiny: Tiny, encoder: Encoder, gradient: MassGradient
) -> None:
    for found, wanted in zip(
        mass_and_gradient(tiny, encoder, gradient), expected(tiny, encoder, gradient), strict=True
    ):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_both_have_one_value_and_only_the_exact_one_makes_the_likely_likelier(
    tiny: Tiny, encoder: Encoder
) -> None:
    (exact, own), (even, alike) = (mass_and_gradient(tiny, encoder, name) for name in ("exact", "even"))
    torch.testing.assert_close(exact, even, atol=1e-6, rtol=1e-6)
    assert not torch.allclose(own, alike, rtol=1e-2)


def test_whole_names_have_both_gradients(tiny: Tiny, make_encoder) -> None:
    """Of a whole name's log-probability: p̂ of the class, or a share of which only (1 − m) differs from it."""
    encoder = make_encoder(tiny, scoring="sequence")
    scores = torch.tensor([[-1.0, -2.0, -5.0, -3.0, -4.0, -6.0]], requires_grad=True)
    anchors, own = anchors_of(tiny, 1).detach(), scores.detach().softmax(-1)
    found = {}
    for name in ("exact", "even"):
        value = log_class_mass(tiny, encoder.answer, anchors, scores, gradient=name)
        assert value.item() == pytest.approx(scores.logsumexp(-1).item(), abs=1e-6)
        found[name] = torch.autograd.grad(value.sum(), scores)[0]
    mass = scores.detach().exp().sum()
    torch.testing.assert_close(found["exact"], own)
    torch.testing.assert_close(found["even"], mass * own + (1 - mass) / 6)


@pytest.mark.parametrize("objective", [SFTObjective, DPOObjective, GRPOObjective])
def test_an_objective_names_its_gradient_where_the_mass_has_a_weight(objective) -> None:
    assert mass_gradient(objective()) is None
    assert mass_gradient(objective(class_mass_weight=0.5)) == "exact"
    assert mass_gradient(objective(class_mass_weight=0.5, class_mass_gradient="even")) == "even"
