"""Splits: complete, disjoint, of the stated sizes, and the same whatever else is in the list."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lalm_ambig.core.items import FOLDS
from lalm_ambig.corpora.reading.splits import seeded_order, split_by_group

GROUPS = st.lists(st.text(min_size=1, max_size=5), min_size=10, max_size=60, unique=True)


@given(groups=GROUPS, seed=st.integers(0, 1000))
def test_every_group_is_in_one_split_of_the_stated_size(groups: list[str], seed: int) -> None:
    splits = split_by_group(groups, seed=seed)
    assert set(splits) == set(groups)
    sizes = Counter(splits.values())
    assert sizes["test"] == round(len(groups) * 0.2)
    assert sizes["validation"] == round(len(groups) * 0.1)


@given(groups=GROUPS, seed=st.integers(0, 1000))
def test_the_tests_of_five_folds_are_disjoint_and_cover_everything(groups: list[str], seed: int) -> None:
    tests: list[str] = []
    for fold in range(FOLDS):
        splits = split_by_group(groups, seed=seed, fold=fold)
        tests += [group for group, split in splits.items() if split == "test"]
        others = len(groups) - Counter(splits.values())["test"]
        assert Counter(splits.values())["validation"] == round(others * 0.1)
    assert sorted(tests) == sorted(groups)


@given(groups=GROUPS, seed=st.integers(0, 1000))
def test_the_order_does_not_depend_on_the_input_order_or_on_repeats(groups: list[str], seed: int) -> None:
    assert split_by_group(groups, seed=seed) == split_by_group([*reversed(groups), groups[0]], seed=seed)


def test_the_order_is_known_for_all_time() -> None:
    assert seeded_order(["a", "b", "c", "d", "e"], seed=0) == ["a", "e", "d", "c", "b"]


def test_another_seed_gives_another_split() -> None:
    actors = [str(n) for n in range(91)]
    assert split_by_group(actors, seed=0) != split_by_group(actors, seed=1)


@given(
    groups=st.lists(st.text(min_size=1, max_size=5), min_size=3, max_size=9, unique=True),
    seed=st.integers(0, 9),
)
def test_as_few_as_three_groups_are_one_for_each_split(groups: list[str], seed: int) -> None:
    assert set(split_by_group(groups, seed=seed).values()) == {"train", "validation", "test"}
    without_test = split_by_group(groups[:2], seed=seed, shares={"validation": 0.1, "test": 0.0})
    assert sorted(without_test.values()) == ["train", "validation"]
