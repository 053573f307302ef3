"""A fixed sample of items in which every speaker, every part and every class has its share."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

JOINT_WEIGHT = 0.5
"""Of a stratum as a whole beside each of its properties: no count is then off by much more than one item."""
TIE = 1e-6
"""Less than what one item more or less of a stratum makes."""


def stratified_order(
    ids: Sequence[str], strata: Sequence[Sequence[Hashable]], *, seed: int, count: int | None = None
) -> list[int]:
    """Places of the items in an order of which every beginning is a sample with the proportions of the whole.

    The next item is always of the stratum that is furthest behind its share, counted as a whole and by each of its
    properties: a sample with fewer items than strata still has the right number of each speaker and of each class. A
    larger sample holds every smaller one. Which items of a stratum come first depends on the seed and on their ids
    only, not on the order in which they are given.

    Args:
        ids: Of the items, all different.
        strata: The properties of each item (speaker, part, majority class), the same number for every item.
        seed: Another seed, another sample.
        count: How many are wanted; by default all.
    """
    wanted = len(ids) if count is None else min(count, len(ids))
    if not wanted:
        return []
    ranks = [_rank(item, seed) for item in ids]
    properties = np.stack([_numbered(column) for column in zip(*strata, strict=True)], axis=1)
    cells, cell_of = np.unique(properties, axis=0, return_inverse=True)
    waiting: list[list[int]] = [[] for _ in cells]
    for place in sorted(range(len(ids)), key=ranks.__getitem__, reverse=True):
        waiting[int(cell_of.flat[place])].append(place)
    first = [ranks[places[-1]] for places in waiting]
    turns = _turns(cells, np.array([len(places) for places in waiting]), first)
    return [waiting[next(turns)].pop() for _ in range(wanted)]


def _turns(cells: np.ndarray, sizes: np.ndarray, first: Sequence[bytes]) -> Iterator[int]:
    """Whose turn it is, until all strata are empty; of those that are equally far behind, the lowest first rank.

    Args:
        cells: Numbers of each stratum's properties.
        sizes: Items of each stratum.
        first: Rank of each stratum's first item.
    """
    kinds = [*cells.T, np.arange(len(cells))]
    weights = [*[1.0] * cells.shape[1], JOINT_WEIGHT]
    shares = [np.bincount(kind, weights=sizes)[kind] / sizes.sum() for kind in kinds]
    taken = [np.zeros(len(cells)) for _ in kinds]
    ties = np.empty(len(cells))
    ties[sorted(range(len(cells)), key=first.__getitem__)] = np.linspace(TIE, 0, len(cells))
    for step in range(1, int(sizes.sum()) + 1):
        behind = ties.copy()
        for weight, share, count in zip(weights, shares, taken, strict=True):
            behind += weight * (step * share - count)
        cell = int(np.where(sizes > taken[-1], behind, -np.inf).argmax())
        for kind, count in zip(kinds, taken, strict=True):
            count[kind == kind[cell]] += 1
        yield cell


def _numbered(values: Sequence[Hashable]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def _rank(item: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{item}".encode(errors="surrogatepass")).digest()
