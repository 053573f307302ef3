"""The reward of a group's labels: by hand, by definition, and unbiased over every outcome of votes and responses."""

import itertools

import pytest
import torch
from every_outcome import chances, every_group, every_vote
from response_groups import LABEL, stated
from torch import Tensor

from lalm_ambig.core.types import Groups
from lalm_ambig.objectives.advantages import Scale, advantages
from lalm_ambig.rewards.label_shares import LabelShares, pseudo_values

Q = {2: torch.tensor([0.7, 0.3], dtype=torch.float64), 3: torch.tensor([0.5, 0.4, 0.1], dtype=torch.float64)}
LOGITS = {
    2: torch.tensor([0.2, -0.4], dtype=torch.float64),
    3: torch.tensor([0.2, 0.9, -0.4], dtype=torch.float64),
}
NOTHING = -0.3
"""Logit of a response that names no class."""


def group_score(labels: list[int], p: Tensor) -> float:
    """2/K Σ p(y) less the share of pairs that name one class, by counting pairs."""
    pairs = list(itertools.combinations(labels, 2))
    linear = 2 * sum(float(p[label]) for label in labels) / len(labels)
    return linear - sum(a == b for a, b in pairs) / len(pairs)


def quadratic(shares: Tensor, q: Tensor) -> Tensor:
    return 2 * (shares * q).sum() - shares.square().sum()


def test_by_hand() -> None:
    """K = 3, p = (½, ½). Two agree: S = 1 − ⅓; without one of them 1 − 0, without the third 1 − 1."""
    values = pseudo_values(torch.tensor([[0, 0, 1]]), torch.tensor([[0.5, 0.5]]))
    assert values[0].tolist() == pytest.approx([3 * 2 / 3 - 2 * 1, 0.0, 3 * 2 / 3 - 2 * 0])


@pytest.mark.parametrize("size", [3, 4, 5])
def test_it_is_k_times_the_score_less_the_others(size: int) -> None:
    p = Q[3]
    for labels in every_group(3, size).tolist():
        values = pseudo_values(torch.tensor([labels]), p[None])[0]
        score = group_score(labels, p)
        assert float(values.mean()) == pytest.approx(score, abs=1e-12)
        for i, value in enumerate(values.tolist()):
            others = labels[:i] + labels[i + 1 :]
            assert value == pytest.approx(size * score - (size - 1) * group_score(others, p), abs=1e-12)


@pytest.mark.parametrize("size", [3, 4, 6])
def test_bounds_hold_and_are_reached(size: int) -> None:
    reward, p = LabelShares(), torch.tensor([[0.0, 1.0], [0.3, 0.7]])
    for row in p:
        groups = every_group(3, size) - 1  # −1: names none
        values = pseudo_values(groups, row.expand(len(groups), -1))
        assert float(values.min()) == reward.minimum
        assert float(values.max()) == pytest.approx(float(reward.upper_bound(row[None])))
        named = values.masked_fill(groups < 0, 9.0)
        assert (named.min(-1).values >= reward.minimum).all()
    everybody_wrong = pseudo_values(torch.zeros(1, size, dtype=torch.long), p[:1])
    assert everybody_wrong.tolist() == [[-1.0] * size]


def test_a_response_without_a_class_is_left_out_of_the_others_group() -> None:
    p = torch.tensor([[0.2, 0.8]])
    four, five = torch.tensor([[0, 1, 1, 0]]), torch.tensor([[0, -1, 1, 1, 0]])
    found = pseudo_values(five, p)[0].tolist()
    assert found[1] == -1.0
    assert found[:1] + found[2:] == pytest.approx(pseudo_values(four, p)[0].tolist())


def test_two_named_classes_earn_their_score_and_one_alone_nothing() -> None:
    p = torch.tensor([[0.2, 0.8]]).expand(4, -1)
    groups = torch.tensor([[0, -1, 1], [1, 1, -1], [-1, 1, -1], [-1, -1, -1]])
    assert pseudo_values(groups, p).flatten().tolist() == pytest.approx(
        [1.0, -1.0, 1.0, 0.6, 0.6, -1.0, -1.0, 0.0, -1.0, -1.0, -1.0, -1.0]
    )


def expected_gradient(logits: Tensor, q: Tensor, *, size: int, votes: int, scale: Scale) -> Tensor:
    """The mean policy gradient, over every outcome of votes and of responses; all name a class."""
    logits = logits.clone().requires_grad_()
    groups, log_shares = every_group(len(q), size), logits.log_softmax(-1)
    weights = chances(log_shares.detach().exp(), groups)
    total = torch.zeros(())
    for counts, chance in every_vote(q, votes):
        rewards = pseudo_values(groups, (counts / votes).expand(len(groups), -1))
        gain = (advantages(rewards, scale=scale) * log_shares[groups]).mean(-1)
        total = total + chance * (weights * gain).sum()
    return torch.autograd.grad(total, logits)[0]


def score_gradient(logits: Tensor, q: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(quadratic(logits.softmax(-1), q), logits)[0]


@pytest.mark.parametrize("votes", [1, 2, 3])
@pytest.mark.parametrize(("classes", "size"), [(2, 3), (3, 3), (2, 4), (3, 5)])
def test_the_policy_gradient_is_that_of_the_score_over_every_outcome(
    votes: int, classes: int, size: int
) -> None:
    found = expected_gradient(LOGITS[classes], Q[classes], size=size, votes=votes, scale="leave_one_out")
    wanted = score_gradient(LOGITS[classes], Q[classes])
    assert wanted.norm() > 0.05
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    short = expected_gradient(LOGITS[classes], Q[classes], size=size, votes=votes, scale="none")
    torch.testing.assert_close(short, wanted * (size - 1) / size, atol=1e-12, rtol=0)


def test_divided_by_the_groups_deviation_it_does_not_rest_at_peoples_shares() -> None:
    q = Q[2]
    at_q = expected_gradient(q.log(), q, size=4, votes=1, scale="leave_one_out")
    divided = expected_gradient(q.log(), q, size=4, votes=1, scale="group")
    assert float(at_q.abs().max()) < 1e-12 < 1e-3 < float(divided.abs().max())


def test_where_some_name_no_class_both_halves_are_in_the_gradient() -> None:
    """K = 4, groups in which 3 or 4 name a class: K'/K of the named shares' score, and the way to naming one."""
    q, size = Q[2], 4
    logits = torch.cat([LOGITS[2], torch.tensor([NOTHING], dtype=torch.float64)]).requires_grad_()
    groups, log_shares = every_group(3, size), logits.log_softmax(-1)
    labels = groups.where(groups < 2, -1)
    rewards = pseudo_values(labels, q.expand(len(groups), -1))
    gain = (advantages(rewards, scale="leave_one_out") * log_shares[groups]).mean(-1)
    weights = chances(log_shares.detach().exp(), groups)
    shares = log_shares.exp()
    is_named = shares[:2].sum()
    score = quadratic(shares[:2] / is_named, q)
    for named in (3, 4):
        rows = (labels >= 0).sum(-1) == named
        (found,) = torch.autograd.grad((weights * gain)[rows].sum(), logits, retain_graph=True)
        share = float(is_named.detach())
        ways = float(weights[rows].sum())
        naming = named * (size - named) / (size * (size - 1) * share * (1 - share))
        value = named / size * score + (float(score.detach()) + 1) * naming * is_named
        (wanted,) = torch.autograd.grad(ways * value, logits, retain_graph=True)
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)


def test_a_simulation_agrees_and_would_see_the_plain_share_of_the_others() -> None:
    """20,000 groups of 4 and one vote each. The share of the others in the place of N/(K − 2) is 6 errors off."""
    torch.manual_seed(0)
    q, logits, size, draws = Q[2], LOGITS[2], 4, 20_000
    shares = logits.softmax(-1)
    labels = torch.multinomial(shares.expand(draws, -1), size, replacement=True)
    vote = torch.nn.functional.one_hot(torch.multinomial(q, draws, replacement=True), 2).double()
    scores = torch.nn.functional.one_hot(labels, 2) - shares  # ∇ log π
    wanted = score_gradient(logits, q)[0]

    def off(rewards: Tensor) -> float:
        gain = (advantages(rewards, scale="leave_one_out") * scores[..., 0]).mean(-1)
        return float((gain.mean() - wanted).abs() / (gain.std() / draws**0.5))

    assert off(pseudo_values(labels, vote)) < 4
    same = (labels[..., None] == labels[:, None]).sum(-1) - 1
    assert off(2 * vote.gather(-1, labels) - 2 * same / (size - 1)) > 6


def test_labels_come_from_the_groups_and_parts_of_them_earn_the_same() -> None:
    groups = stated([[[0.5, 0.5]] * 3] * 2)
    labels = torch.tensor([[0, 1, 1], [-1, 0, 0]])
    named = Groups(**{**vars(groups), "labels": labels})
    values = LabelShares()(named, LABEL)
    torch.testing.assert_close(values, pseudo_values(labels, LABEL))
    torch.testing.assert_close(LabelShares()(named.part(slice(1, 2)), LABEL[1:]), values[1:])
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(pseudo_values(labels[:, order], LABEL), values[:, order])
