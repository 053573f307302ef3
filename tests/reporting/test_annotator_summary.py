"""Agreement by annotator: by hand, and Krippendorff's published example."""

from typing import Any

import numpy as np
import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.reporting.annotator_summary import Ratings, summarise_annotators

PUBLISHED = {
    "A": (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
    "B": (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
    "C": (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
    "D": (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
}
"""Krippendorff (2011), "Computing Krippendorff's alpha-reliability", section C; 0 is no rating."""


def ratings(rows: list[tuple[int, str, int]]) -> Ratings:
    """From rows of item, annotator and class."""
    items, who, classes = zip(*rows, strict=True)
    names, annotator = np.unique(np.array(who), return_inverse=True)
    return Ratings(np.array(items), annotator, np.array(classes), tuple(names.tolist()))


def published() -> Ratings:
    return ratings(
        [(unit, who, label - 1) for who, row in PUBLISHED.items() for unit, label in enumerate(row) if label]
    )


def classes(count: int, *, ordered: bool = False) -> CategorySet:
    return CategorySet(tuple(f"c{n}" for n in range(count)), ordered=ordered)


@pytest.mark.parametrize(
    ("ordered", "alpha", "kind"), [(False, 0.743, "nominal classes"), (True, 0.849, "intervals")]
)
def test_alpha_is_that_of_krippendorffs_example(ordered: bool, alpha: float, kind: str) -> None:
    found = summarise_annotators(published(), classes(5, ordered=ordered))
    assert found["alpha"] == pytest.approx(alpha, abs=5e-4)
    assert found["alpha_of"] == kind
    assert (found["annotators"], found["ratings"]) == (4, 41)
    assert found["items_each"] == {"min": 9, "median": 10.5, "max": 11}


def test_agreement_of_each_annotator_worked_out_by_hand() -> None:
    rows = [(0, "a", 0), (0, "b", 0), (0, "c", 1), (1, "a", 1), (1, "c", 1), (2, "b", 2)]
    found = summarise_annotators(ratings(rows), classes(3))
    each: dict[str, Any] = found["by_annotator"]
    assert each["a"] == {"items": 2, "agreement": pytest.approx(0.75), "labels": {"c0": 1, "c1": 1, "c2": 0}}
    assert each["b"]["agreement"] == pytest.approx(0.5)  # item 2 has no other annotator
    assert each["c"]["agreement"] == pytest.approx(0.5)
    assert found["agreement"] == pytest.approx((0.5 + 0.5 + 0.0 + 1.0 + 1.0) / 5)


def test_an_annotator_with_two_labels_does_not_disagree_with_himself() -> None:
    found = summarise_annotators(ratings([(0, "a", 0), (0, "a", 1), (0, "b", 0)]), classes(2))
    assert found["by_annotator"]["a"] == {"items": 1, "agreement": 0.5, "labels": {"c0": 1, "c1": 1}}
    assert found["by_annotator"]["b"]["agreement"] == 0.5


def test_what_cannot_be_compared_is_none() -> None:
    alone = summarise_annotators(ratings([(0, "a", 0), (1, "b", 1)]), classes(2))
    assert (alone["agreement"], alone["alpha"], alone["by_annotator"]["a"]["agreement"]) == (None, None, None)
    same = summarise_annotators(ratings([(0, "a", 0), (0, "b", 0)]), classes(2))
    assert (same["agreement"], same["alpha"]) == (1.0, None)
