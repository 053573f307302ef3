"""The two halves of a reward's gradient, against an expectation in which every response is enumerated."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from lalm_ambig.core.distributions import kl_from_logits
from lalm_ambig.objectives.advantages import Scale, advantages
from lalm_ambig.objectives.grpo import GRPOExperience, GRPOObjective
from lalm_ambig.objectives.on_policy import OnPolicyTerms, OwnReadouts

VOCABULARY, LENGTH, CLASSES = 3, 2, 4
RESPONSES = list(product(range(VOCABULARY), repeat=LENGTH))
TARGET = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
SUMS = GRPOObjective(kl_weight=0.0, average="constant", constant_tokens=1)
"""Token sums, no penalty; the clip is not reached where old and present policy are one."""


class Toy:
    """A policy of three tokens: it writes two, and then answers. Everything it does depends on one set of weights."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        self.weights = torch.randn(40, generator=generator, dtype=torch.float64, requires_grad=True)
        self.mixing = {
            (z, t): torch.randn(VOCABULARY, 40, generator=generator, dtype=torch.float64) / 4
            for t in range(LENGTH)
            for z in product(range(VOCABULARY), repeat=t)
        }
        self.reading = {
            z: torch.randn(CLASSES, 40, generator=generator, dtype=torch.float64) / 2 for z in RESPONSES
        }

    def log_probs(self, z: tuple[int, ...]) -> Tensor:
        """Of each token of a response, in nats."""
        return torch.stack(
            [(self.mixing[z[:t], t] @ self.weights).log_softmax(-1)[z[t]] for t in range(LENGTH)]
        )

    def logits(self, z: tuple[int, ...]) -> Tensor:
        """Of the classes after a response."""
        return self.reading[z] @ self.weights

    def divergence(self, z: tuple[int, ...]) -> Tensor:
        return kl_from_logits(TARGET, self.logits(z))

    def gradient(self, value: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(value, self.weights, retain_graph=True)
        return gradient


@pytest.fixture
def toy() -> Toy:
    return Toy()


def groups(toy: Toy, size: int) -> Iterator[tuple[list[tuple[int, ...]], float]]:
    """Every group of so many responses, with its probability."""
    share = {z: float(toy.log_probs(z).detach().sum().exp()) for z in RESPONSES}
    for group in product(RESPONSES, repeat=size):
        probability = 1.0
        for z in group:
            probability *= share[z]
        yield list(group), probability


def experience(toy: Toy, group: list[tuple[int, ...]], scale: Scale, *, own: bool) -> GRPOExperience:
    log_probs = torch.stack([toy.log_probs(z) for z in group])[None]
    logits = torch.stack([toy.logits(z) for z in group])[None]
    rewards = -kl_from_logits(TARGET.expand(1, len(group), -1), logits).detach()
    mask = torch.ones_like(log_probs, dtype=torch.bool)
    readouts = OwnReadouts(logits, TARGET[None]) if own else None
    return GRPOExperience(
        log_probs, log_probs.detach(), None, mask, advantages(rewards, scale=scale), own=readouts
    )


def expected_gradient(toy: Toy, scale: Scale, *, first: bool, second: bool, size: int = 2) -> Tensor:
    """The expectation of the loss's gradient over all groups."""
    total = torch.zeros(40, dtype=torch.float64)
    objective = replace(SUMS, on_policy_kl_weight=float(second))
    for group, probability in groups(toy, size):
        record = experience(toy, group, scale, own=second)
        if not first:
            record = replace(record, advantages=torch.zeros_like(record.advantages))
        total += probability * toy.gradient(objective(record).total)
    return total


def test_both_halves_and_their_sum_are_those_of_the_expected_divergence(toy: Toy) -> None:
    expected = toy.gradient(
        torch.stack([toy.log_probs(z).sum().exp() * toy.divergence(z) for z in RESPONSES]).sum()
    )
    score = toy.gradient(
        torch.stack(
            [
                toy.log_probs(z).sum().exp().detach() * toy.divergence(z).detach() * toy.log_probs(z).sum()
                for z in RESPONSES
            ]
        ).sum()
    )
    path = toy.gradient(
        torch.stack([toy.log_probs(z).sum().exp().detach() * toy.divergence(z) for z in RESPONSES]).sum()
    )
    for found, wanted in (
        (expected_gradient(toy, "leave_one_out", first=True, second=False), score),
        (expected_gradient(toy, "leave_one_out", first=False, second=True), path),
        (expected_gradient(toy, "leave_one_out", first=True, second=True), expected),
    ):
        assert wanted.norm() > 0.05
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_other_settings_are_not_that_gradient(toy: Toy) -> None:
    """The mean with itself in it shortens the first half by (K − 1)/K; a division by the deviation bends it."""
    loo = expected_gradient(toy, "leave_one_out", first=True, second=False)
    none = expected_gradient(toy, "none", first=True, second=False)
    torch.testing.assert_close(none, loo / 2, atol=1e-9, rtol=1e-9)
    bent = expected_gradient(toy, "group", first=True, second=False)
    assert torch.cosine_similarity(bent, loo, dim=0) < 0.99


def test_an_older_policys_responses_are_weighed_into_both_halves(toy: Toy) -> None:
    """After an update the responses are another policy's; importance weights bring the present expectation back."""
    older = {z: float(toy.log_probs(z).detach().sum().exp()) for z in RESPONSES}
    with torch.no_grad():
        toy.weights += 0.05 * torch.randn(40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = toy.gradient(
        torch.stack([toy.log_probs(z).sum().exp().detach() * toy.divergence(z) for z in RESPONSES]).sum()
    )
    total = {True: torch.zeros(40, dtype=torch.float64), False: torch.zeros(40, dtype=torch.float64)}
    for z, share in older.items():
        logits = toy.logits(z)[None, None]
        ratio = (toy.log_probs(z).sum().exp().detach() / share)[None, None]
        for weighed, gradient in total.items():
            readouts = OwnReadouts(logits, TARGET[None], importance=ratio if weighed else None)
            gradient += share * toy.gradient(readouts.divergence())
    torch.testing.assert_close(total[True], wanted, atol=1e-9, rtol=1e-9)
    assert not torch.allclose(total[False], wanted, atol=1e-4)


def test_divergence_and_mass_are_the_soft_label_cross_entropy_of_the_whole_vocabulary() -> None:
    generator = torch.Generator().manual_seed(0)
    vocabulary = torch.randn(2, 3, 11, generator=generator, dtype=torch.float64, requires_grad=True)
    classes = torch.tensor([4, 1, 7, 9])
    target = torch.stack([TARGET, TARGET.flip(0)])
    logits = vocabulary[..., classes]
    mass = vocabulary.log_softmax(-1)[..., classes].logsumexp(-1)
    terms, parts = OnPolicyTerms(0.7, 0.7)(OwnReadouts(logits, target, log_class_mass=mass))
    total = torch.stack([*terms.values()]).sum()
    soft = -(target[:, None] * vocabulary.log_softmax(-1)[..., classes]).sum(-1)
    entropy = torch.special.entr(target).sum(-1)[:, None]
    wanted = 0.7 * (soft - entropy).mean()
    torch.testing.assert_close(total, wanted)
    for one, other in zip(
        torch.autograd.grad(total, vocabulary, retain_graph=True),
        torch.autograd.grad(wanted, vocabulary),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    assert float(parts["on_policy_class_mass"]) == pytest.approx(float(mass.detach().exp().mean()))


def test_without_own_responses_nothing_is_added() -> None:
    assert OnPolicyTerms(1.0, 1.0)(None) == ({}, {})
