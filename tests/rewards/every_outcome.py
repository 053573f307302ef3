"""Every outcome of a few votes and of a few responses, with its probability."""

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor


def every_vote(q: Tensor, votes: int) -> Iterator[tuple[Tensor, float]]:
    """Counts of so many votes drawn from q, and how likely they are."""
    for counts in product(range(votes + 1), repeat=len(q)):
        if sum(counts) == votes:
            ways = math.factorial(votes) / math.prod(map(math.factorial, counts))
            yield torch.tensor(counts).double(), ways * float((q ** torch.tensor(counts)).prod())


def every_group(outcomes: int, size: int) -> Tensor:
    """All groups of so many responses, each of which has one of so many outcomes [group, rollout]."""
    return torch.tensor(list(product(range(outcomes), repeat=size)))


def chances(shares: Tensor, groups: Tensor) -> Tensor:
    """How likely each group is."""
    return shares[groups].prod(-1)
