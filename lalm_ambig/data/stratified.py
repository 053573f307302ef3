"""A fixed sample of items in which every speaker, every part and every class has its share."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

JOINT_WEIGHT = 0.5
"""Weight of a stratum itself; each of its properties has weight 1. Counts are then off by about one item at most."""
TIE = 1e-6
"""Weight of the order among strata that lag equally. It is less than the effect of one item."""


def stratified_order(
    ids: Sequence[str], strata: Sequence[Sequence[Hashable]], *, seed: int, count: int | None = None
) -> list[int]:
    """Return positions of the items, in an order whose every prefix is a stratified sample.

    The next item is of the stratum that lags most behind its share. A stratum's lag is that of its own count and of
    each of its properties' counts. So a sample with fewer items than strata still has the right number of each speaker
    and of each class. A larger sample contains every smaller one. The order within a stratum depends only on the seed
    and the ids.

    Args:
        ids: Ids of the items, all different.
        strata: The properties of each item (speaker, part, majority class), the same number for every item.
        seed: Seed of the order within a stratum.
        count: Number of positions; by default all.

    >>> stratified_order(["a", "b", "c", "d"], [["x"], ["x"], ["y"], ["y"]], seed=0, count=2)
    [2, 1]
    """
    size = len(ids) if count is None else min(count, len(ids))
    if not size:
        return []
    ranks = [_rank(item, seed) for item in ids]
    properties = np.stack([_numbered(column) for column in zip(*strata, strict=True)], axis=1)
    cells, cell_of = np.unique(properties, axis=0, return_inverse=True)
    waiting: list[list[int]] = [[] for _ in cells]
    for place in sorted(range(len(ids)), key=ranks.__getitem__, reverse=True):
        waiting[int(cell_of.flat[place])].append(place)
    first = [ranks[places[-1]] for places in waiting]
    turns = _turns(cells, np.array([len(places) for places in waiting]), first)
    return [waiting[next(turns)].pop() for _ in range(size)]


def _turns(cells: np.ndarray, sizes: np.ndarray, first: Sequence[bytes]) -> Iterator[int]:
    """Yield the stratum that is next, until all are empty. Of strata that lag equally, the lowest rank comes first.

    Args:
        cells: Numbers of each stratum's properties.
        sizes: Items of each stratum.
        first: Rank of each stratum's first item.
    """
    kinds = [*cells.T, np.arange(len(cells))]
    weights = [*[1.0] * cells.shape[1], JOINT_WEIGHT]
    shares = [np.bincount(kind, weights=sizes)[kind] / sizes.sum() for kind in kinds]
    drawn = [np.zeros(len(cells)) for _ in kinds]
    ties = np.empty(len(cells))
    ties[sorted(range(len(cells)), key=first.__getitem__)] = np.linspace(TIE, 0, len(cells))
    for step in range(1, int(sizes.sum()) + 1):
        lag = ties.copy()
        for weight, share, count in zip(weights, shares, drawn, strict=True):
            lag += weight * (step * share - count)
        cell = int(np.where(sizes > drawn[-1], lag, -np.inf).argmax())
        for kind, count in zip(kinds, drawn, strict=True):
            count[kind == kind[cell]] += 1
        yield cell


def _numbered(values: Sequence[Hashable]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def _rank(item: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}/{item}".encode(errors="surrogatepass")).digest()
