r"""A run's score against n votes an item, and how many votes and items tell two runs apart.

The score is the mean over every draw of n of an item's votes without replacement (`vote_subsets`). On Brier and KL it
is the score against the distribution behind the votes, plus a part that is the same for every run. So the difference of
two runs does not depend on n. JS is no proper score: its difference changes with n, and few votes can turn it round.

A test has one draw of n votes for each of N items. Its standard error is the jackknife's, of the differences of such a
draw; the mean of its square over draws is unbiased for N items that are not at hand. With N = V / n items for a budget
of V votes, and as many items a speaker as at hand, it is that of the items at hand times $\sqrt{N_{hand} / N}$.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy.special import ndtri
from torch import Tensor

from lalm_ambig.core.class_terms import brier_terms, js_terms, kl_terms
from lalm_ambig.evaluation.intervals import Interval, mean_spread
from lalm_ambig.evaluation.spread import LEVEL
from lalm_ambig.evaluation.vote_subsets import (
    AT_ONCE,
    DRAWS,
    VotedItems,
    count_chances,
    subsets,
    weighted,
)
from lalm_ambig.metrics.base import Answers, share_variance

POWER = 0.8
"""Share of tests that find a difference as large as the smallest that is called detectable."""
REACH = float(ndtri((1 + LEVEL) / 2) + ndtri(POWER))
"""Standard errors that such a difference is large: 2.8."""


@dataclass(frozen=True)
class VoteMetric:
    """A metric that is a sum over classes, as a score of a prediction against votes."""

    label: str
    terms: Callable[[Tensor, Tensor], Tensor]
    per_class: bool = False
    """Whether the sum is divided by the number of classes."""
    bounds: tuple[float, float] = (0.0, 1.0)
    is_proper: bool = True
    """Whether no prediction beats the distribution behind the votes, whatever their number."""

    def scale(self, classes: int) -> float:
        """What the sum over classes is multiplied by."""
        return 1 / classes if self.per_class else 1.0


METRICS = {
    "js_div_bits": VoteMetric("JS (base 2)", js_terms, is_proper=False),
    "brier_mean": VoteMetric("Brier (mean)", brier_terms, per_class=True),
    "kl": VoteMetric("KL", kl_terms, bounds=(0.0, math.inf)),
}
"""Names as everywhere in this project."""


@dataclass(frozen=True)
class ScoredRun:
    """A run's answers to items, in their order."""

    name: str
    answers: Answers


@dataclass(frozen=True)
class TestSize:
    """A test of the difference of two runs, with n votes for each of as many items as a budget buys."""

    votes: int
    items: int
    """The budget over n."""
    difference: Interval
    """First minus second on the items at hand, as a mean over draws of n votes."""
    error: float | None
    """Standard error of the difference in a test of `items` items; None without an interval, or under two items."""
    items_needed: int | None
    """Items with which 4 of 5 tests find a difference as large as this one; None where it may be 0."""
    is_reversed: bool = False
    """Whether the difference has another sign than with the most votes, and neither interval holds 0."""

    @property
    def detectable(self) -> float | None:
        """The smallest difference that 4 of 5 tests find."""
        return None if self.error is None else REACH * self.error

    @property
    def apart(self) -> float | None:
        """The difference in standard errors, without its sign."""
        return abs(self.difference.value) / self.error if self.error else None


def scores(run: ScoredRun, items: VotedItems, drawn: int, metric: VoteMetric) -> Float[Tensor, " item"]:
    """A run's expected score against n of each item's votes; ∞ where it rules out a class that they may hold.

    Args:
        run: With an answer for each item.
        items: With at least n votes each.
        drawn: n.
        metric: The score.
    """
    width, classes = drawn + 1, items.votes.shape[-1]
    size = items.sizes[:, None].expand_as(items.votes).reshape(-1)
    count, predicted = items.votes.reshape(-1), run.answers.predicted_dist.double().reshape(-1)
    shares = torch.arange(width).double() / drawn
    parts = []
    for at in torch.arange(len(count)).split(max(1, AT_ONCE // width)):
        chances = count_chances(count[at], size[at], drawn)
        parts.append(weighted(chances, metric.terms(shares, predicted[at, None])))
    summed = torch.cat(parts).reshape(-1, classes).sum(-1)
    return summed * metric.scale(classes) - _sampling(run, metric)


def test_sizes(
    first: ScoredRun,
    second: ScoredRun,
    items: VotedItems,
    votes: Sequence[int],
    *,
    metric: VoteMetric,
    total: int,
    seed: int = 0,
) -> list[TestSize]:
    """How well two runs are told apart, by the number of votes an item.

    Args:
        first: A run.
        second: Another, on the same items.
        items: With at least as many votes each as the largest of `votes`.
        votes: Numbers of votes an item.
        metric: The score.
        total: Votes of the whole test.
        seed: Seed of the draws.
    """
    sizes = [_test_size(first, second, items, n, metric=metric, total=total, seed=seed) for n in votes]
    last = sizes[-1].difference
    return [
        one
        if not (_is_sure(one.difference) and _is_sure(last) and one.difference.value * last.value < 0)
        else TestSize(one.votes, one.items, one.difference, one.error, one.items_needed, is_reversed=True)
        for one in sizes
    ]


def best_size(sizes: Sequence[TestSize]) -> TestSize | None:
    """The test that tells the runs best apart; None where the runs may not differ at the most votes.

    Numbers of votes at which the difference is reversed do not count.
    """
    if not _is_sure(sizes[-1].difference):
        return None
    able = [one for one in sizes if one.apart is not None and not one.is_reversed]
    return max(able, key=lambda one: one.apart or 0.0, default=None)


def _test_size(
    first: ScoredRun,
    second: ScoredRun,
    items: VotedItems,
    drawn: int,
    *,
    metric: VoteMetric,
    total: int,
    seed: int,
) -> TestSize:
    difference = scores(first, items, drawn, metric) - scores(second, items, drawn, metric)
    spread = mean_spread(difference, items.clusters)
    interval = Interval(spread.value, *spread.ends())
    bought, at_hand = total // drawn, len(items.ids)
    error = _error_of_a_draw(first, second, items, drawn, metric=metric, seed=seed)
    if error is None or bought < 2:
        return TestSize(drawn, bought, interval, None, None)
    needed = None
    if _is_sure(interval):
        needed = math.ceil(at_hand * (REACH * error / interval.value) ** 2)
    return TestSize(drawn, bought, interval, error * math.sqrt(at_hand / bought), needed)


def _error_of_a_draw(
    first: ScoredRun, second: ScoredRun, items: VotedItems, drawn: int, *, metric: VoteMetric, seed: int
) -> float | None:
    """Standard error of the difference with one draw of n votes for each item at hand; None where there is none."""
    squares = []
    constant = _sampling(first, metric) - _sampling(second, metric)
    for votes in subsets(items, drawn, seed=seed):
        ours, theirs = (_against(one, votes, drawn, metric) for one in (first, second))
        error = mean_spread(ours - theirs - constant, items.clusters).error
        if error is None:
            return None
        squares.append(error**2)
    return math.sqrt(sum(squares) / DRAWS)


def _against(
    run: ScoredRun, votes: Int[Tensor, "item category"], drawn: int, metric: VoteMetric
) -> Float[Tensor, " item"]:
    terms = metric.terms(votes.double() / drawn, run.answers.predicted_dist.double())
    return terms.sum(-1) * metric.scale(votes.shape[-1])


def _sampling(run: ScoredRun, metric: VoteMetric) -> Float[Tensor, " item"]:
    """What sampled labels add to the Brier score, as `metrics.divergences` takes it off; 0 for other answers."""
    answers = run.answers
    if answers.draws is None or metric.terms is not brier_terms:
        return torch.zeros(len(answers.predicted_dist), dtype=torch.float64)
    variance = share_variance(answers.predicted_dist.double(), answers.draws).sum(-1)
    return variance * metric.scale(answers.predicted_dist.shape[-1])


def _is_sure(difference: Interval) -> bool:
    """Whether the interval leaves out 0."""
    return difference.low is not None and difference.high is not None and difference.low * difference.high > 0
