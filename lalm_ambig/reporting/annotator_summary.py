r"""How far the annotators of a corpus agree, as a whole and one by one, where the corpus names them.

A rating is a label that an annotator gave an item. Each rating is compared with the ratings that *other* annotators
gave the same item, so that an annotator with two labels does not disagree with himself. Its disagreement $d_r$ is the
mean over these of $\delta$: 1 for two labels that differ, and 0 else.

The agreement of an annotator is the mean of $1 - d_r$ over the annotator's ratings. Krippendorff's α is
$1 - D_o / D_e$, with $D_o$ the mean of $d_r$ and $D_e$ the mean of $\delta$ over all pairs of compared ratings. Where
classes have an order, α is that of intervals: $\delta$ is the squared difference of the positions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.corpora.preparing.prepared import Prepared


@dataclass(frozen=True)
class Ratings:
    """The labels of named annotators, one row per rating."""

    item: Int[np.ndarray, " rating"]
    annotator: Int[np.ndarray, " rating"]
    """Position in `names`."""
    category: Int[np.ndarray, " rating"]
    names: tuple[str, ...]
    """The annotators, sorted."""


def ratings_of(prepared: Prepared) -> Ratings | None:
    """The ratings of all items; None where no item names its annotators."""
    column = prepared.table.column("annotators").combine_chunks()
    named = column.flatten().to_numpy(zero_copy_only=False)
    if not len(named):
        return None
    sizes = np.diff(column.offsets.to_numpy())
    names, annotator = np.unique(named.astype(str), return_inverse=True)
    category = prepared.table.column("annotations").combine_chunks().flatten().to_numpy()
    return Ratings(np.repeat(np.arange(len(sizes)), sizes), annotator, category, tuple(names.tolist()))


def summarise_annotators(ratings: Ratings, categories: CategorySet) -> dict[str, Any]:
    """The numbers on annotators that `describe` shows, as plain JSON.

    Args:
        ratings: At least one.
        categories: The classes.

    Returns:
        `annotators` and `ratings` are counts, and `items_each` has the smallest, median and largest number of items of
        an annotator. `agreement` is in [0, 1], `alpha` at most 1; each is None where no two annotators share an item.
        `by_annotator` has, per name, `items`, `agreement` and `labels`: the class → number of its ratings.
    """
    differ, compared = _disagreement(ratings, _nominal(ratings, len(categories)))
    each = np.array([len(np.unique(ratings.item[rows])) for rows in _rows(ratings)])
    return {
        "annotators": len(ratings.names),
        "ratings": len(ratings.item),
        "items_each": {"min": int(each.min()), "median": float(np.median(each)), "max": int(each.max())},
        "agreement": _mean(1 - differ[compared]),
        "alpha": _alpha(ratings, categories),
        "alpha_of": "intervals" if categories.ordered else "nominal classes",
        "by_annotator": {
            name: {
                "items": int(each[place]),
                "agreement": _mean(1 - differ[rows][compared[rows]]),
                "labels": _labels(ratings.category[rows], categories),
            }
            for place, (name, rows) in enumerate(zip(ratings.names, _rows(ratings), strict=True))
        },
    }


def _rows(ratings: Ratings) -> list[Int[np.ndarray, " _"]]:
    """The rows of each annotator."""
    order = np.argsort(ratings.annotator, kind="stable")
    ends = np.cumsum(np.bincount(ratings.annotator, minlength=len(ratings.names)))
    return np.split(order, ends[:-1])


def _labels(category: Int[np.ndarray, " _"], categories: CategorySet) -> dict[str, int]:
    return dict(zip(categories.names, np.bincount(category, minlength=len(categories)).tolist(), strict=True))


def _mean(values: Float[np.ndarray, " _"]) -> float | None:
    return float(values.mean()) if len(values) else None


def _nominal(ratings: Ratings, width: int) -> Float[np.ndarray, "rating category"]:
    """Points whose half squared distance is 1 for two classes that differ: one-hot rows."""
    points: np.ndarray = np.eye(width)[ratings.category]
    return points


def _disagreement(
    ratings: Ratings, points: Float[np.ndarray, "rating axis"]
) -> tuple[Float[np.ndarray, " rating"], Bool[np.ndarray, " rating"]]:
    """Each rating's mean of half the squared distance to others' points on its item, and whether there are others.

    A sum over others is a sum over the item, less that over the annotator's own ratings of it.
    """
    squares = (points**2).sum(-1)
    columns = np.column_stack([np.ones(len(points)), squares, points])
    pairs = np.unique(np.column_stack([ratings.item, ratings.annotator]), axis=0, return_inverse=True)[
        1
    ].ravel()
    others = _sums(columns, ratings.item) - _sums(columns, pairs)
    count, square_sum, point_sum = others[:, 0], others[:, 1], others[:, 2:]
    compared = count > 0.5
    total = count * squares + square_sum - 2 * (points * point_sum).sum(-1)
    return np.where(compared, total / 2 / np.maximum(count, 1), 0.0), compared


def _sums(
    columns: Float[np.ndarray, "rating column"], group: Int[np.ndarray, " rating"]
) -> Float[np.ndarray, "rating column"]:
    """Per rating, the sum of the columns over its group."""
    sums = np.zeros((int(group.max()) + 1, columns.shape[1]))
    np.add.at(sums, group, columns)
    of_each: np.ndarray = sums[group]
    return of_each


def _alpha(ratings: Ratings, categories: CategorySet) -> float | None:
    """Krippendorff's α; None where no two annotators share an item, and where all compared labels are the same."""
    positions = ratings.category[:, None].astype(float)
    points = positions if categories.ordered else _nominal(ratings, len(categories))
    observed, compared = _disagreement(ratings, points)
    points = points[compared]
    n = len(points)
    if n < 2:
        return None
    expected = ((points**2).sum() * n - (points.sum(0) ** 2).sum()) / (n * (n - 1))
    return float(1 - observed[compared].mean() / expected) if expected > 0 else None
