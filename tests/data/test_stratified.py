"""A sample has the proportions of the whole, by every property, however small it is."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from lalm_ambig.data.stratified import stratified_order

IDS = [f"item {number}" for number in range(100)]


def sample_of(ids: list[str], strata: Sequence[tuple[object, ...]], *, seed: int, count: int) -> list[int]:
    return sorted(stratified_order(ids, strata, seed=seed, count=count))


def counts(sample: list[int], values: list[str]) -> Counter[str]:
    return Counter(values[place] for place in sample)


def test_strata_have_their_shares_where_these_are_whole_numbers() -> None:
    values = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    for count in (10, 20, 50):
        sample = sample_of(IDS, [(value,) for value in values], seed=0, count=count)
        assert counts(sample, values) == {"a": count * 0.5, "b": count * 0.3, "c": count * 0.2}


def test_a_sample_is_not_the_first_items() -> None:
    strata = [("one speaker",)] * 100
    sample = sample_of(IDS, strata, seed=0, count=20)
    assert max(sample) > 60
    assert sample != sample_of(IDS, strata, seed=1, count=20)


def test_with_fewer_items_than_strata_every_property_has_its_share() -> None:
    speakers = [f"speaker {number // 10}" for number in range(100)]
    parts = ["first" if number < 50 else "second" for number in range(100)]
    classes = ["joy", "anger", "fear", "joy", "neutral"] * 20
    sample = sample_of(IDS, list(zip(speakers, parts, classes, strict=True)), seed=3, count=10)
    assert set(counts(sample, speakers).values()) == {1}
    assert counts(sample, parts) == {"first": 5, "second": 5}
    assert counts(sample, classes) == {"joy": 4, "anger": 2, "fear": 2, "neutral": 2}


@pytest.mark.parametrize("shape", [(2, 2, 3), (8, 1, 6), (60, 2, 8), (1, 1, 28)])
def test_no_property_is_ever_far_from_its_share(shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(sum(shape))
    columns = [draw.choice(size, 400, p=draw.dirichlet(np.ones(size))) for size in shape]
    ids = [str(number) for number in range(400)]
    order = stratified_order(ids, list(zip(*(column.tolist() for column in columns), strict=True)), seed=0)
    assert sorted(order) == list(range(400))
    for column in columns:
        chosen = column[order][:, None] == np.arange(column.max() + 1)
        share = np.bincount(column) / 400
        off = np.abs(chosen.cumsum(0) - np.arange(1, 401)[:, None] * share)
        assert off.max() < 1.5


def test_a_larger_sample_holds_a_smaller_one_and_the_largest_is_all() -> None:
    strata = [(number % 7, number % 3) for number in range(100)]
    samples = [set(sample_of(IDS, strata, seed=0, count=count)) for count in (1, 10, 11, 64, 100, 500)]
    assert all(small < large for small, large in itertools.pairwise(samples[:5]))
    assert samples[4] == samples[5] == set(range(100))
    assert sample_of([], [], seed=0, count=5) == []


def test_the_order_in_which_items_are_given_does_not_matter() -> None:
    strata = [(number % 7, number % 3) for number in range(100)]
    turned = list(reversed(range(100)))
    first = stratified_order(IDS, strata, seed=5, count=30)
    again = stratified_order([IDS[n] for n in turned], [strata[n] for n in turned], seed=5, count=30)
    assert [IDS[place] for place in first] == [IDS[turned[place]] for place in again]
