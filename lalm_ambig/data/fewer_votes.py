"""Fewer votes than an item has: what a corpus of one to three votes per item would have been."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.data.items import Items


@dataclass(frozen=True)
class FewerVotes:
    """Takes n of an item's votes, drawn without replacement; all of them where it has no more."""

    votes: int
    """n, at least 1."""
    seed: int
    """Seed of the draws. An item's draw depends on the seed and its id alone."""

    def __call__(self, item: Item) -> Item:
        """The item with n of its votes, without its annotators, since a draw does not say whose votes these are.

        Raises:
            InputError: A vote is no whole number, so that there is nothing to draw from.

        >>> item = FewerVotes(2, seed=0)(Item("a", (3.0, 0.0, 2.0)))
        >>> sum(item.votes), item.votes[1]
        (2.0, 0.0)
        """
        if any(vote != round(vote) for vote in item.votes):
            shown = ", ".join(f"{vote:g}" for vote in item.votes)
            raise InputError(
                f"item {item.id} has votes {shown}: these are shares or weights, and no counts to draw from:",
                where="data.train_votes",
                remedy="leave train_votes out.",
            )
        if sum(item.votes) <= self.votes:
            return item
        key = hashlib.sha256(f"{self.seed}\n{item.id}".encode()).digest()
        generator = np.random.default_rng(list(key))
        counts = np.array(item.votes, dtype=np.int64)
        drawn = generator.multivariate_hypergeometric(counts, self.votes)
        return replace(item, votes=tuple(float(vote) for vote in drawn), annotators=(), annotations=())


def with_fewer_votes(items: Items, fewer: FewerVotes) -> Items:
    """The items with fewer votes.

    Raises:
        InputError: A vote of one of them is no whole number; said now, and not when that item's batch is made.
    """
    votes = items.source.select(items.keep).votes()
    for place in (votes != votes.round()).any(-1).nonzero()[:1].flatten().tolist():
        fewer(items[place])
    return items.changed(fewer)
