"""The Brier score that is unbiased in votes and in sampled labels, over every outcome and by simulation."""

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lalm_ambig.core.distributions import brier_mean
from lalm_ambig.evaluation.intervals import Clusters, intervals
from lalm_ambig.metrics.base import Answers, all_metrics, vote_numbers
from lalm_ambig.metrics.divergences import BrierMean
from lalm_ambig.metrics.few_votes import BrierMeanUnbiased

Q = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
PREDICTED = torch.tensor([0.2, 0.7, 0.1], dtype=torch.float64)


def outcomes(q: Tensor, size: int) -> Iterator[tuple[Tensor, float]]:
    """Every count of so many draws from q, with its probability."""
    for counts in itertools.product(range(size + 1), repeat=len(q)):
        if sum(counts) == size:
            ways = math.factorial(size) / math.prod(map(math.factorial, counts))
            yield torch.tensor(counts).double(), ways * float((q ** torch.tensor(counts)).prod())


def score(counts: Tensor, predicted: Tensor, *, draws: int | None = None) -> float:
    rows = BrierMeanUnbiased(len(counts)).rows(
        (counts / counts.sum())[None],
        predicted[None],
        draws=None if draws is None else torch.tensor([float(draws)], dtype=torch.float64),
        votes=counts.sum()[None],
    )
    assert rows[0, 1] == 1
    return float(rows[0, 0])


@pytest.mark.parametrize("votes", [2, 3])
@pytest.mark.parametrize("classes", [2, 3])
def test_it_has_no_bias_over_every_outcome_of_the_votes(votes: int, classes: int) -> None:
    q, predicted = Q[:classes] / Q[:classes].sum(), PREDICTED[:classes] / PREDICTED[:classes].sum()
    found = sum(chance * score(counts, predicted) for counts, chance in outcomes(q, votes))
    assert found == pytest.approx(float(brier_mean(q, predicted)), abs=1e-12)
    plain = sum(
        chance * float(brier_mean(counts / votes, predicted)) for counts, chance in outcomes(q, votes)
    )
    assert plain - found == pytest.approx(float((1 - q.square().sum()) / votes / classes), abs=1e-12)


@pytest.mark.parametrize(("votes", "draws"), [(2, 2), (2, 3), (3, 2), (3, 3)])
def test_nor_over_every_outcome_of_the_votes_and_of_sampled_labels(votes: int, draws: int) -> None:
    found = sum(
        one * other * score(counts, labels / draws, draws=draws)
        for counts, one in outcomes(Q, votes)
        for labels, other in outcomes(PREDICTED, draws)
    )
    assert found == pytest.approx(float(brier_mean(Q, PREDICTED)), abs=1e-12)


def test_a_simulation_agrees_and_would_see_n_in_the_place_of_n_less_1() -> None:
    torch.manual_seed(0)
    items, votes = 20_000, 3
    drawn = torch.multinomial(Q.expand(items, -1), votes, replacement=True)
    shares = torch.nn.functional.one_hot(drawn, 3).double().mean(1)
    wanted = float(brier_mean(Q, PREDICTED))

    def off(values: Tensor) -> float:
        return float((values.mean() - wanted).abs() / (values.std() / items**0.5))

    predicted = PREDICTED.expand(items, -1)
    rows = BrierMeanUnbiased(3).rows(shares, predicted, votes=torch.full((items,), float(votes)).double())
    assert off(rows[:, 0]) < 4
    assert off(brier_mean(shares, predicted) - (shares * (1 - shares)).mean(-1) / votes) > 10


def test_by_hand_and_an_item_with_one_vote_is_left_out() -> None:
    """Votes 1 and 1, p̂ = (1, 0): Brier ¼, less ½·½/1: 0. Votes 3 and 0: 0."""
    metric = BrierMeanUnbiased(2)
    given = [(1.0, 1.0), (3.0, 0.0), (1.0, 0.0)]
    target = torch.tensor(given) / torch.tensor(given).sum(-1, keepdim=True)
    predicted = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    metric.update(target, predicted, votes=vote_numbers(given))
    assert metric.compute().item() == pytest.approx((0.0 + 0.25) / 2)
    assert vote_numbers(given).tolist() == [2, 3, 1]


def test_where_one_item_has_shares_the_whole_votes_of_others_are_no_draws_either() -> None:
    """Two raters who each share a vote between two classes make votes 1 and 1, and always the same ones."""
    metric = BrierMeanUnbiased(2)
    given = [(0.5 + 0.5, 0.5 + 0.5), (1.5, 0.5)]
    assert vote_numbers(given).tolist() == [0, 0]
    metric.update(torch.tensor([[0.5, 0.5]] * 2), torch.tensor([[1.0, 0.0]] * 2), votes=vote_numbers(given))
    assert math.isnan(metric.compute().item())


def test_without_numbers_of_votes_there_is_no_value() -> None:
    metric = BrierMeanUnbiased(2)
    metric.update(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]))
    assert math.isnan(metric.compute().item())


def test_with_many_votes_it_is_the_brier_score() -> None:
    target, predicted = torch.tensor([[0.25, 0.75]]), torch.tensor([[0.5, 0.5]])
    few, plain = BrierMeanUnbiased(2), BrierMean(2)
    few.update(target, predicted, votes=torch.tensor([1e12]))
    plain.update(target, predicted)
    assert few.compute().item() == pytest.approx(plain.compute().item())


def test_an_unread_response_is_uniform_and_corrected_all_the_same() -> None:
    metric = BrierMeanUnbiased(2)
    metric.update(
        torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]), torch.tensor([False]), torch.tensor([2.0])
    )
    assert metric.compute().item() == -0.25


def test_intervals_take_the_numbers_of_votes_from_the_answers() -> None:
    target = torch.tensor([[0.5, 0.5], [1.0, 0.0]] * 6, dtype=torch.float64)
    answers = Answers(target, torch.ones(12, dtype=torch.bool), votes=torch.full((12,), 2.0).double())
    found = intervals(all_metrics(2, ordered=False), target, predicted_dist=answers, clusters=Clusters())
    assert found["brier_mean_unbiased"].value == pytest.approx(-0.125)
    assert found["brier_mean"].value == 0
