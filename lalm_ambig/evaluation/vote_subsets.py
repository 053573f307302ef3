r"""Fewer votes than an item has: the mean over every subset of n of its N votes, drawn without replacement.

The N votes are independent draws from the distribution behind the item. So is every subset of them, and two subsets
that share no vote are two independent panels of n people. A subset and *all* N votes are not independent: n votes are
nearer to N votes that include them than to the distribution behind both, and at n = N the distance is 0.

The count of one class in a subset is hypergeometric, and a divergence is a sum over classes (`core/class_terms.py`). So
expected values are exact sums, without draws. Only what needs all classes at once is drawn: the majority.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.class_terms import ClassTerms
from lalm_ambig.core.distributions import majority
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.intervals import Clusters

DRAWS = 50
"""Subsets drawn per item, where a mean over all of them has no simple form."""
AT_ONCE = 1 << 21
"""Numbers that a sum holds in memory at a time."""
Expected = Callable[[Int[Tensor, " pair"], Int[Tensor, " pair"]], Float[Tensor, " pair"]]
"""Votes m of a class, and all votes N of its item → what the class adds to an expected distance."""


@dataclass(frozen=True)
class VotedItems:
    """The votes of some items, and what of the items is independent of each other."""

    ids: tuple[str, ...]
    votes: Int[Tensor, "item category"]
    clusters: Clusters

    @property
    def sizes(self) -> Int[Tensor, " item"]:
        """Votes of each item."""
        return self.votes.sum(-1)

    def with_votes(self, fewest: int) -> "VotedItems":
        """The items that have at least so many votes."""
        return self.at(self.places(fewest))

    def places(self, fewest: int) -> list[int]:
        """Places of the items that have at least so many votes."""
        found: list[int] = (self.sizes >= fewest).nonzero()[:, 0].tolist()
        return found

    def at(self, places: list[int]) -> "VotedItems":
        """The items at these places, in that order."""
        groups = self.clusters.groups
        clusters = replace(self.clusters, groups=None if groups is None else tuple(groups[n] for n in places))
        return VotedItems(tuple(self.ids[n] for n in places), self.votes[places], clusters)


def whole_votes(
    votes: Float[Tensor, "item category"], ids: tuple[str, ...], *, where: str
) -> Int[Tensor, "item category"]:
    """The votes as whole numbers.

    Raises:
        InputError: A vote is no whole number, so that there are shares or weights and no votes to draw from.
    """
    wrong = (votes != votes.round()).any(-1).nonzero()
    if len(wrong):
        row = int(wrong[0])
        shown = ", ".join(f"{vote:g}" for vote in votes[row].tolist())
        raise InputError(
            f"item {ids[row]} has votes {shown}: these are shares or weights, and no counts to draw from.",
            where=where,
            remedy="Give whole numbers: how many annotators chose each class, by no option that shares a rater's vote.",
        )
    return votes.round().long()


def count_chances(
    count: Int[Tensor, " urn"], size: Int[Tensor, " urn"], drawn: int
) -> Float[Tensor, "urn number"]:
    r"""Probability that 0 … n of the n votes drawn from N are for a class that has m: hypergeometric.

    $$\binom{m}{x} \binom{N-m}{n-x} \Big/ \binom{N}{n}$$

    Args:
        count: m, the class's votes.
        size: N, all votes of the item; at least n.
        drawn: n.

    >>> count_chances(torch.tensor([1]), torch.tensor([4]), 2).tolist()
    [[0.5, 0.5, 0.0]]
    """
    number = torch.arange(drawn + 1)
    inside = _log_choose(count[:, None], number)
    outside = _log_choose((size - count)[:, None], drawn - number)
    return (inside + outside - _log_choose(size[:, None], torch.tensor(drawn))).exp()


def against_all(items: VotedItems, drawn: int, terms: ClassTerms) -> Float[Tensor, " item"]:
    """Expected distance of n of an item's votes from all of its votes: too small, 0 where n is all of them.

    Args:
        items: With at least n votes each.
        drawn: n.
        terms: The distance, by class.
    """

    def expected(count: Tensor, size: Tensor) -> Tensor:
        shares = torch.arange(drawn + 1).double() / drawn
        behind = count.double() / size
        return weighted(count_chances(count, size, drawn), terms(shares, behind[:, None]))

    return over_classes(items, expected, width=drawn + 1)


def against_rest(items: VotedItems, drawn: int, terms: ClassTerms) -> Float[Tensor, " item"]:
    """Expected distance of n of an item's votes from its other votes: too large, since these are few, too.

    Args:
        items: With more than n votes each.
        drawn: n.
        terms: The distance, by class.
    """

    def expected(count: Tensor, size: Tensor) -> Tensor:
        number = torch.arange(drawn + 1).double()
        left = (count[:, None] - number).clamp_min(0) / (size[:, None] - drawn)
        return weighted(count_chances(count, size, drawn), terms(number / drawn, left))

    return over_classes(items, expected, width=drawn + 1)


def against_others(items: VotedItems, drawn: int, terms: ClassTerms) -> Float[Tensor, " item"]:
    """Expected distance of n of an item's votes from n others of it: unbiased, as two independent panels are.

    Args:
        items: With at least 2n votes each.
        drawn: n.
        terms: The distance, by class.
    """

    def expected(count: Tensor, size: Tensor) -> Tensor:
        shares = torch.arange(drawn + 1).double() / drawn
        first, total = count_chances(count, size, drawn), torch.zeros(len(count), dtype=torch.float64)
        for number in range(drawn + 1):
            second = count_chances((count - number).clamp_min(0), size - drawn, drawn)
            total += first[:, number] * weighted(second, terms(shares[number], shares))
        return total

    return over_classes(items, expected, width=drawn + 1)


def pair_disagreement(items: VotedItems) -> Float[Tensor, " item"]:
    r"""Share of pairs of an item's votes that differ, in [0, 1]: unbiased for $1 - \sum_c p_c^2$.

    So `pair_disagreement / n` is the expected Brier score, summed over classes, of n votes against the distribution
    behind them, without bias.

    Args:
        items: With at least 2 votes each.
    """
    votes, size = items.votes.double(), items.sizes.double()
    return 1 - (votes * (votes - 1)).sum(-1) / (size * (size - 1))


def draw_votes(
    votes: Int[np.ndarray, "item category"], drawn: int, generator: np.random.Generator
) -> Int[np.ndarray, "item category"]:
    """So many of the votes of each item, drawn without replacement.

    Args:
        votes: With at least n votes each.
        drawn: n.
        generator: What draws.
    """
    taken, wanted, left = np.zeros_like(votes), np.full(len(votes), drawn), votes.sum(-1)
    for place in range(votes.shape[-1]):
        left = left - votes[:, place]
        taken[:, place] = generator.hypergeometric(votes[:, place], left, wanted)
        wanted = wanted - taken[:, place]
    return taken


def subsets(items: VotedItems, drawn: int, *, seed: int, draws: int = DRAWS) -> Iterator[Tensor]:
    """Yield draws of n of each item's votes, as counts by item and class.

    Args:
        items: With at least n votes each.
        drawn: n.
        seed: Seed of the draws. Each n has draws of its own, whatever other n are drawn.
        draws: How many are drawn.
    """
    generator = np.random.default_rng([seed, drawn])
    votes = items.votes.numpy()
    for _ in range(draws):
        yield torch.from_numpy(draw_votes(votes, drawn, generator))


def majorities(
    items: VotedItems, drawn: int, *, seed: int, draws: int = DRAWS
) -> tuple[Float[Tensor, " item"], Float[Tensor, " item"]]:
    """How often the majority of n votes is that of all, and how often n votes tie for it: shares of draws, per item.

    A tie goes to the first class, as everywhere in this project.
    """
    same, tied = torch.zeros(len(items.ids)).double(), torch.zeros(len(items.ids)).double()
    of_all = majority(items.votes.double())
    for votes in subsets(items, drawn, seed=seed, draws=draws):
        same += majority(votes.double()) == of_all
        tied += (votes == votes.amax(-1, keepdim=True)).sum(-1) > 1
    return same / draws, tied / draws


def other_majorities(
    items: VotedItems, drawn: int, *, seed: int, draws: int = DRAWS
) -> Float[Tensor, " item"]:
    """How often n of an item's votes have the majority of n others: a share of draws, per item.

    Args:
        items: With at least 2n votes each.
        drawn: n.
        seed: Seed of the draws.
        draws: How many are drawn.
    """
    generator, votes = np.random.default_rng([seed, drawn, 1]), items.votes.numpy()
    same = np.zeros(len(votes))
    for _ in range(draws):
        first = draw_votes(votes, drawn, generator)
        same += first.argmax(-1) == draw_votes(votes - first, drawn, generator).argmax(-1)
    return torch.from_numpy(same / draws)


def over_classes(items: VotedItems, expected: Expected, *, width: int) -> Float[Tensor, " item"]:
    """Sum over its classes what each class with m of an item's N votes adds; each pair (m, N) is computed once.

    Args:
        items: The items.
        expected: Counts m and sizes N → what such a class adds.
        width: Numbers that it holds in memory for each pair.
    """
    size = items.sizes[:, None].expand_as(items.votes)
    pairs, place = torch.unique(
        torch.stack([items.votes, size], dim=-1).reshape(-1, 2), dim=0, return_inverse=True
    )
    parts = torch.split(pairs, max(1, AT_ONCE // width))
    added = torch.cat([expected(part[:, 0], part[:, 1]) for part in parts])
    return added[place].reshape(items.votes.shape).sum(-1)


def weighted(
    chances: Float[Tensor, "*#place number"], values: Float[Tensor, "*#place number"]
) -> Float[Tensor, "..."]:
    """Expected value; what cannot happen adds nothing, even where it would be infinite."""
    return torch.where(chances > 0, chances * values, 0).sum(-1)


def _log_choose(count: Tensor, drawn: Tensor) -> Tensor:
    """Logarithm of the binomial coefficient; −∞ where more are drawn than there are, or fewer than none."""
    possible = (drawn >= 0) & (drawn <= count)
    taken = torch.where(possible, drawn, 0).double()
    count = count.double()
    found = torch.lgamma(count + 1) - torch.lgamma(taken + 1) - torch.lgamma(count - taken + 1)
    return torch.where(possible, found, -torch.inf)
