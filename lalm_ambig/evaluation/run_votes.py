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
from dataclasses import dataclass, replace

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

    def at(self, places: list[int]) -> "ScoredRun":
        """The answers to the items at these places, in that order."""
        answers = self.answers
        draws = None if answers.draws is None else answers.draws[places]
        return ScoredRun(self.name, Answers(answers.predicted_dist[places], answers.parsed[places], draws))


@dataclass(frozen=True)
class Separation:
    """How far a test tells two runs apart, with n votes for each of as many items as a budget buys."""

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

    @property
    def is_sure(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and low * high > 0


@dataclass(frozen=True)
class RunPair:
    """Two runs on the same items, and how they are compared."""

    first: ScoredRun
    second: ScoredRun
    items: VotedItems
    metric: VoteMetric
    seed: int = 0
    """Seed of the draws."""

    def separations(self, votes: Sequence[int], *, total: int) -> list[Separation]:
        """How far tests of that many votes tell the runs apart, by the number of votes an item.

        Args:
            votes: Numbers of votes an item, in order; each item has as many as the largest.
            total: Votes of a test.
        """
        found = [self._separation(n, total) for n in votes]
        last = found[-1]

        def is_reversed(one: Separation) -> bool:
            return one.is_sure and last.is_sure and one.difference.value * last.difference.value < 0

        return [replace(one, is_reversed=is_reversed(one)) for one in found]

    def _separation(self, drawn: int, total: int) -> Separation:
        ours, theirs = (scores(one, self.items, drawn, self.metric) for one in (self.first, self.second))
        spread = mean_spread(ours - theirs, self.items.clusters)
        bought, at_hand = total // drawn, len(self.items.ids)
        found = Separation(drawn, bought, Interval(spread.value, *spread.ends()), None, None)
        error = self._error_of_a_draw(drawn)
        if error is None:
            return found
        if found.is_sure:
            needed = max(2, math.ceil(at_hand * (REACH * error / spread.value) ** 2))
            found = replace(found, items_needed=needed)
        return found if bought < 2 else replace(found, error=error * math.sqrt(at_hand / bought))

    def _error_of_a_draw(self, drawn: int) -> float | None:
        """Standard error with one draw of n votes for each item at hand; None where there is none."""
        constant = _sampling(self.first, self.metric) - _sampling(self.second, self.metric)
        squares = []
        for votes in subsets(self.items, drawn, seed=self.seed):
            ours, theirs = (_against(one, votes, drawn, self.metric) for one in (self.first, self.second))
            error = mean_spread(ours - theirs - constant, self.items.clusters).error
            if error is None:
                return None
            squares.append(error**2)
        return math.sqrt(sum(squares) / DRAWS)


def best_separation(found: Sequence[Separation]) -> Separation | None:
    """The test that tells the runs best apart; None where they may not differ with the most votes.

    Numbers of votes at which the difference is reversed do not count.
    """
    if not found[-1].is_sure:
        return None
    able = [one for one in found if one.apart is not None and not one.is_reversed]
    return max(able, key=lambda one: one.apart or 0.0, default=None)


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
    for at in torch.split(torch.arange(len(count)), max(1, AT_ONCE // width)):
        chances = count_chances(count[at], size[at], drawn)
        parts.append(weighted(chances, metric.terms(shares, predicted[at, None])))
    summed = torch.cat(parts).reshape(-1, classes).sum(-1)
    return summed * metric.scale(classes) - _sampling(run, metric)


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
