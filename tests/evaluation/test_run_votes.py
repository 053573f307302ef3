"""Runs against n votes: by enumeration, against the score on all votes, and a test's error against simulated tests."""

import itertools
import math

import numpy as np
import pytest
import torch

from lalm_ambig.core.distributions import brier_mean, js_divergence, kl
from lalm_ambig.evaluation.intervals import Clusters, mean_spread
from lalm_ambig.evaluation.run_votes import METRICS, REACH, RunPair, ScoredRun, best_separation, scores
from lalm_ambig.evaluation.vote_subsets import VotedItems
from lalm_ambig.metrics.base import Answers
from lalm_ambig.metrics.divergences import BrierMean

SCORES = {"js_div_bits": js_divergence, "brier_mean": brier_mean, "kl": kl}


def voted(rows, groups=None) -> VotedItems:
    votes = torch.as_tensor(rows)
    return VotedItems(tuple(f"i{n}" for n in range(len(votes))), votes, Clusters(groups))


def run(rows, draws=None, name: str = "run") -> ScoredRun:
    predicted = torch.as_tensor(np.asarray(rows, dtype=float))
    return ScoredRun(name, Answers(predicted, torch.ones(len(predicted), dtype=torch.bool), draws))


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("drawn", [1, 2, 5])
def test_a_score_is_the_mean_over_every_subset(metric: str, drawn: int) -> None:
    row, answer = [3, 2, 1], [0.5, 0.2, 0.3]
    labels = [c for c, count in enumerate(row) for _ in range(count)]
    wanted = []
    for chosen in itertools.combinations(labels, drawn):
        target = torch.bincount(torch.tensor(chosen), minlength=3).double() / drawn
        wanted.append(float(SCORES[metric](target, torch.tensor(answer, dtype=torch.float64))))
    found = scores(run([answer]), voted([row]), drawn, METRICS[metric])
    assert float(found[0]) == pytest.approx(np.mean(wanted), abs=1e-10)


def test_a_class_that_is_ruled_out_costs_only_where_votes_may_hold_it() -> None:
    items = voted([[4, 0], [3, 1]])
    found = scores(run([[1.0, 0.0], [1.0, 0.0]]), items, 2, METRICS["kl"])
    assert found.tolist() == [0.0, math.inf]


def test_brier_of_sampled_labels_is_corrected_as_the_metric_corrects_it() -> None:
    answers, draws = [[0.75, 0.25], [0.5, 0.5]], torch.tensor([4.0, 8.0]).double()
    items = voted([[3, 1], [0, 4]])
    found = scores(run(answers, draws), items, 4, METRICS["brier_mean"])
    target = items.votes.double() / 4
    wanted = BrierMean(2).rows(target, torch.tensor(answers).double(), None, draws)[:, 0]
    assert found.tolist() == pytest.approx(wanted.tolist())


def test_the_excess_over_the_noise_does_not_depend_on_n_for_brier() -> None:
    items, answer = voted([[7, 3]]), run([[0.4, 0.6]])
    noise = 1 - (7 * 6 + 3 * 2) / 90  # share of pairs that differ
    excess = [
        float(scores(answer, items, n, METRICS["brier_mean"])) - noise * (1 / n - 1 / 10) / 2
        for n in (1, 4, 10)
    ]
    assert excess == pytest.approx([0.09] * 3)


def world(items: int, seed: int, total: int):
    """Items with two answers each, of which the first is nearer to people."""
    generator = np.random.default_rng(seed)
    behind = generator.dirichlet([0.7] * 3, size=items)
    noise = generator.dirichlet([1.0] * 3, size=items)
    votes = generator.multinomial(total, behind)
    return votes, 0.6 * behind + 0.4 * noise, 0.4 * behind + 0.6 * noise


@pytest.mark.parametrize("metric", ["js_div_bits", "brier_mean"])
def test_the_error_is_that_of_tests_with_so_many_items(metric: str) -> None:
    votes, first, second = world(400, 1, 20)
    pair = RunPair(run(first), run(second), voted(votes), METRICS[metric])
    for found in pair.separations([1, 4], total=800):
        simulated = []
        for trial in range(300):
            counts, ours, theirs = world(800 // found.votes, 1000 + trial, found.votes)
            target = torch.from_numpy(counts / found.votes)
            score = SCORES[metric]
            gap = score(target, torch.from_numpy(ours)) - score(target, torch.from_numpy(theirs))
            simulated.append(float(gap.mean()))
        assert found.items == 800 // found.votes
        assert found.error == pytest.approx(np.std(simulated), rel=0.15)
        assert found.difference.low < np.mean(simulated) < found.difference.high
        assert found.detectable == pytest.approx(REACH * found.error)


def test_the_items_needed_give_a_difference_of_so_many_errors() -> None:
    votes, first, second = world(200, 1, 10)
    pair = RunPair(run(first), run(second), voted(votes), METRICS["brier_mean"])
    (found,) = pair.separations([5], total=5 * 1000)
    at_needed = pair.separations([5], total=5 * found.items_needed)[0]
    assert at_needed.apart == pytest.approx(REACH, rel=0.05)
    assert found.difference.value < 0, "first minus second, and the first is better"
    turned = RunPair(run(second), run(first), voted(votes), METRICS["brier_mean"]).separations(
        [5], total=5000
    )
    assert turned[0].difference.value == -found.difference.value


def test_one_vote_an_item_is_best_for_brier_where_items_are_free() -> None:
    votes, first, second = world(300, 2, 20)
    pair = RunPair(run(first), run(second), voted(votes), METRICS["brier_mean"])
    found = pair.separations([1, 5, 20], total=6000)
    assert best_separation(found) is found[0]
    differences = [one.difference.value for one in found]
    assert differences == pytest.approx([differences[0]] * 3)


def test_runs_that_may_be_equal_have_no_best_number() -> None:
    votes, first, _ = world(100, 3, 10)
    pair = RunPair(run(first), run(first), voted(votes), METRICS["js_div_bits"])
    found = pair.separations([1, 10], total=1000)
    assert best_separation(found) is None
    assert [one.items_needed for one in found] == [None, None]
    assert [one.error for one in found] == [0, 0]


def test_a_difference_that_few_votes_turn_round_is_called_reversed() -> None:
    # against one vote, JS prefers a sharpened answer to the true distribution
    generator = np.random.default_rng(4)
    behind = np.tile([0.75, 0.25], (2000, 1))
    votes, sharp = generator.multinomial(40, behind), np.tile([0.88, 0.12], (2000, 1))
    pair = RunPair(run(behind), run(sharp), voted(votes), METRICS["js_div_bits"])
    found = pair.separations([1, 40], total=10_000)
    assert [one.is_reversed for one in found] == [True, False]
    assert best_separation(found).votes == 40


def test_speakers_make_the_error_larger_where_they_differ() -> None:
    votes, first, second = world(120, 5, 10)
    first[:40] = second[:40]  # the first speaker's items are answered alike
    groups = tuple(f"s{n // 40}" for n in range(120))
    errors = []
    for items in (voted(votes), voted(votes, groups)):
        pair = RunPair(run(first), run(second), items, METRICS["brier_mean"])
        errors.append(pair.separations([10], total=1200)[0].error)
    assert errors[1] > 1.5 * errors[0]


def test_without_an_interval_there_is_no_error() -> None:
    votes, first, second = world(5, 6, 10)
    pair = RunPair(run(first), run(second), voted(votes), METRICS["brier_mean"])
    (found,) = pair.separations([2], total=100)
    assert (found.error, found.items_needed, found.apart, found.detectable) == (None, None, None, None)


def test_a_mean_has_the_spread_of_its_metric() -> None:
    values = torch.arange(20).double()
    spread = mean_spread(values, bounds=(0.0, 10.0))
    assert spread.value == 9.5
    assert spread.error == pytest.approx(float(values.std()) / math.sqrt(20))
    assert spread.ends()[1] == 10.0
    assert mean_spread(values[:5]).error is None
