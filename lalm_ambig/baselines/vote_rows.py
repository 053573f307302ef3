"""What n votes an item are worth, by n: label noise, floors and majority, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.baselines.vote_noise import oracle_noise, panel_noise
from lalm_ambig.core.class_terms import brier_terms, js_terms, kl_terms
from lalm_ambig.evaluation.intervals import FEWEST_ITEMS, Clusters, Interval, mean_spread
from lalm_ambig.evaluation.vote_subsets import (
    VotedItems,
    against_all,
    against_others,
    against_rest,
    majorities,
    other_majorities,
    pair_disagreement,
)

COUNTS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000)
"""Numbers of votes that are shown unless others are asked for."""
MOST = COUNTS[-1]
"""Largest number of votes: beyond it, sums would take long."""
FEWEST_VOTES = 2
"""Votes of an item below which nothing tells how far its annotators disagree."""
TOLERANCE = 0.01
"""JS in bits that another doubling of the votes must gain to be worth it. The value is ours."""


@dataclass(frozen=True)
class VoteRow:
    """What n votes an item are worth."""

    votes: int
    items: int
    """Items with at least n votes, and at least two."""
    pair_items: int
    """Items with at least 2n votes, of which two groups of n share no vote."""
    values: dict[str, Interval]
    """By the names in `MEASURES`; a measure that no item has enough votes for is missing."""


MEASURES = {
    "js_all": "JS of n votes and all votes of the item: too small, since all include the n",
    "js_rest": "JS of n votes and the other votes of the item: too large, since these are few, too",
    "js_oracle": "JS of n votes and q, the true distribution of the model: the label noise, and the oracle's score",
    "js_panel": "JS of n votes and n others, drawn from q: the panel's score",
    "js_others": "JS of n votes and n other votes of the item: unbiased, and what js_panel models",
    "js_others_model": "js_panel on the items of js_others",
    "brier_noise": "Brier per class of n votes and the distribution behind them: unbiased, from pairs of votes",
    "brier_oracle": "the same by q",
    "brier_panel": "Brier per class of n votes and n others: unbiased, twice the noise",
    "kl_all": "KL of n votes from all votes of the item, in nats: too small",
    "kl_oracle": "KL of n votes from q, in nats: the label noise, and the oracle's score",
    "majority_all": "share of draws in which the majority of n votes is that of all votes, these n included",
    "majority_others": "share of draws in which the majority of n votes is that of n other votes",
    "tied": "share of draws in which n votes tie for the majority; the first class then has it",
}
"""What each number is. JS is in bits, in [0, 1]; the mean is over items."""


@dataclass(frozen=True)
class Enough:
    """The smallest number of votes of which another doubling gains less than a tolerance."""

    votes: int | None
    """None where no number up to `MOST` is enough."""
    noise: float
    """JS of that many votes and q, in bits; of the most that were tried, where none is enough."""
    doubled: float
    """JS of twice as many."""
    tolerance: float
    is_extrapolated: bool
    """Whether the number is larger than any in the table, so that q alone speaks."""


def default_votes(items: VotedItems) -> list[int]:
    """The numbers of votes that are shown unless others are asked for.

    They are those of `COUNTS` that ten items have, and the median number of votes of an item.
    """
    sizes = items.sizes.sort().values
    reached = int(sizes[max(len(sizes) - FEWEST_ITEMS, 0)])
    median = min(int(sizes[len(sizes) // 2]), MOST)
    return sorted({count for count in COUNTS if count <= reached} | {median})


def vote_rows(items: VotedItems, votes: Sequence[int], *, alpha: float, seed: int = 0) -> list[VoteRow]:
    """What each number of votes is worth.

    Args:
        items: The items. At each n, those with fewer votes are left out.
        votes: Numbers of votes; some item has as many as the largest.
        alpha: α of q.
        seed: Seed of what is drawn.
    """
    return [_row(items, n, alpha=alpha, seed=seed) for n in votes]


def enough_votes(
    items: VotedItems, votes: Sequence[int], *, alpha: float, tolerance: float = TOLERANCE
) -> Enough:
    """The smallest n of which a doubling lowers the label noise by less than a tolerance.

    The noise is `oracle_noise` in JS, at n and at 2n, over all items: q has any number of votes.

    Args:
        items: The items.
        votes: Numbers of votes of the table.
        alpha: α of q.
        tolerance: JS in bits.
    """
    beyond = [count for count in range(votes[-1] + 1, MOST + 1) if count in COUNTS or count % 10 == 0]
    noise = doubled = 0.0
    for n in (*votes, *beyond):
        noise, doubled = (
            float(oracle_noise(items, count, js_terms, alpha=alpha).mean()) for count in (n, 2 * n)
        )
        if noise - doubled < tolerance:
            return Enough(n, noise, doubled, tolerance, n > votes[-1])
    return Enough(None, noise, doubled, tolerance, is_extrapolated=True)


def _row(items: VotedItems, n: int, *, alpha: float, seed: int) -> VoteRow:
    of_n, of_two = items.with_votes(max(FEWEST_VOTES, n)), items.with_votes(2 * n)
    values = _of_one_group(of_n, n, alpha=alpha, seed=seed)
    if len(of_two.ids):
        values |= _of_two_groups(of_two, n, alpha=alpha, seed=seed)
    return VoteRow(
        n, len(of_n.ids), len(of_two.ids), {name: values[name] for name in MEASURES if name in values}
    )


def _of_one_group(items: VotedItems, n: int, *, alpha: float, seed: int) -> dict[str, Interval]:
    clusters, classes = items.clusters, items.votes.shape[-1]
    noise = pair_disagreement(items) / (n * classes)
    same, tied = majorities(items, n, seed=seed)
    return {
        "js_all": _mean(against_all(items, n, js_terms), clusters),
        "js_oracle": _mean(oracle_noise(items, n, js_terms, alpha=alpha), clusters),
        "js_panel": _mean(panel_noise(items, n, js_terms, alpha=alpha), clusters),
        "brier_noise": _mean(noise, clusters),
        "brier_oracle": _mean(oracle_noise(items, n, brier_terms, alpha=alpha) / classes, clusters),
        "brier_panel": _mean(2 * noise, clusters),
        "kl_all": _mean(against_all(items, n, kl_terms), clusters, most=float("inf")),
        "kl_oracle": _mean(oracle_noise(items, n, kl_terms, alpha=alpha), clusters, most=float("inf")),
        "majority_all": _mean(same, clusters),
        "tied": _mean(tied, clusters),
    }


def _of_two_groups(items: VotedItems, n: int, *, alpha: float, seed: int) -> dict[str, Interval]:
    clusters = items.clusters
    return {
        "js_rest": _mean(against_rest(items, n, js_terms), clusters),
        "js_others": _mean(against_others(items, n, js_terms), clusters),
        "js_others_model": _mean(panel_noise(items, n, js_terms, alpha=alpha), clusters),
        "majority_others": _mean(other_majorities(items, n, seed=seed), clusters),
    }


def _mean(values: Float[Tensor, " item"], clusters: Clusters, *, most: float = 1.0) -> Interval:
    spread = mean_spread(values, clusters, bounds=(0.0, most))
    return Interval(spread.value, *spread.ends())
