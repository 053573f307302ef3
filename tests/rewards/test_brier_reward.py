"""The Brier score as a reward, and what few votes do to it and to the divergence."""

import pytest
import torch
from every_outcome import every_vote
from response_groups import LABEL, scored, stated
from torch import Tensor

from lalm_ambig.core.distributions import brier_sum, entropy, kl_from_logits
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.brier import Brier
from lalm_ambig.rewards.shala import Shala

Q = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
LOGITS = torch.tensor([[0.3, -0.2, 0.1], [1.0, 0.5, -1.0]], dtype=torch.float64)


def test_by_hand() -> None:
    """p = (½, ½): (1, 0) costs ½; p = (1, 0): (0, 1) costs 2."""
    values = Brier()(stated([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [1.0, 0.0]]]), LABEL)
    assert values.tolist() == [[-0.5, 0.0], [-2.0, 0.0]]


def expected(q: Tensor, votes: int, value: object) -> Tensor:
    """Over every outcome of so many votes."""
    return sum(chance * value(counts / votes) for counts, chance in every_vote(q, votes))  # type: ignore[operator]


@pytest.mark.parametrize("votes", [1, 2, 3])
def test_both_rewards_compare_responses_without_bias(votes: int) -> None:
    """Their expectation is the reward against q, plus a number that no response changes."""
    groups = scored([LOGITS.tolist()], [[True, True]])
    for reward in (Brier(), Agreement()):
        found = expected(Q, votes, lambda p, reward=reward: reward(groups, p[None]).double())
        against_q = reward(groups, Q[None]).double()
        difference = (found - against_q)[0]
        assert float(difference[0]) == pytest.approx(float(difference[1]), abs=2e-7)  # responses are float32
        assert abs(float(difference[0])) > 0.05


@pytest.mark.parametrize("votes", [1, 2, 3])
def test_what_the_votes_add_to_the_values(votes: int) -> None:
    """(1 − Σq²)/n to the Brier score; to KL the entropy that n votes lack."""
    predicted = LOGITS[0].softmax(-1)
    brier = expected(Q, votes, lambda p: brier_sum(p, predicted))
    assert float(brier - brier_sum(Q, predicted)) == pytest.approx(
        float(1 - Q.square().sum()) / votes, abs=1e-12
    )
    divergence = expected(Q, votes, lambda p: kl_from_logits(p, LOGITS[0]))
    missing = entropy(Q) - expected(Q, votes, entropy)
    assert float(divergence - kl_from_logits(Q, LOGITS[0])) == pytest.approx(float(missing), abs=1e-12)


@pytest.mark.parametrize("votes", [1, 2, 3])
def test_the_gradient_of_the_divergence_has_no_bias_at_any_number_of_votes(votes: int) -> None:
    logits = LOGITS[0].clone().requires_grad_()
    (found,) = torch.autograd.grad(expected(Q, votes, lambda p: kl_from_logits(p, logits)), logits)
    (wanted,) = torch.autograd.grad(kl_from_logits(Q, logits), logits)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)


def test_shala_with_two_votes_prefers_one_half_to_the_truth() -> None:
    """Its weight is not 0 only where the two votes differ, and there they say ½ each. With one vote it is always 0."""
    q = torch.tensor([0.9, 0.1], dtype=torch.float64)
    groups = stated([[[0.9, 0.1], [0.5, 0.5]]])
    truth, half = expected(q, 2, lambda p: Shala()(groups, p[None].float()).double())[0].tolist()
    assert half > truth > 0
    assert expected(q, 1, lambda p: Shala()(groups, p[None].float()).double()).tolist() == [[0.0, 0.0]]
