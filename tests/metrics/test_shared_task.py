"""The organisers' scores: by hand, with their rounding, and against independent definitions to 1e-9."""

import random

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import entropy
from sklearn.metrics import f1_score

from lalm_ambig.metrics import shared_task as scores


def drawn(items: int, width: int, *, seed: int) -> list[list[float]]:
    rows: list[list[float]] = np.random.default_rng(seed).dirichlet(np.ones(width), items).tolist()
    return rows


def labels(items: int, low: int, high: int, *, seed: int) -> list[list[float]]:
    """Labels of one to five annotators an item."""
    chance = random.Random(seed)
    return [[float(chance.randint(low, high)) for _ in range(chance.randint(1, 5))] for _ in range(items)]


def transported(target: list[float], predicted: list[float]) -> float:
    """Optimal transport as a linear programme with the cost |h - k|."""
    width = len(target)
    cost = np.abs(np.subtract.outer(np.arange(width), np.arange(width))).ravel()
    rows = np.kron(np.eye(width), np.ones(width))
    columns = np.kron(np.ones(width), np.eye(width))
    found = linprog(cost, A_eq=np.vstack([rows, columns]), b_eq=[*target, *predicted], method="highs")
    return float(found.fun)


def test_manhattan_rounds_each_item_and_then_the_mean() -> None:
    targets = [[0.333333, 0.666667], [1.0, 0.0], [0.0, 1.0]]
    predictions = [[0.0, 1.0], [0.123456, 0.876544], [0.0, 1.0]]
    # 0.666666 and 1.753088 become 0.66667 and 1.75309; their mean with 0 is 0.80658...
    assert scores.manhattan(targets, predictions) == round((0.66667 + 1.75309 + 0.0) / 3, 5) == 0.80659


def test_multilabel_manhattan_rounds_each_item_again() -> None:
    targets = [[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], [[0.25, 0.75], [1.0, 0.0], [1.0, 0.0]]]
    predictions = [[[0.5, 0.5]] * 3] * 2
    assert scores.multilabel_manhattan(targets, predictions) == round((0.66667 + 0.83333) / 2, 5)


@pytest.mark.parametrize("width", [2, 7, 11])
def test_wasserstein_is_optimal_transport_with_the_cost_of_steps(width: int) -> None:
    targets, predictions = drawn(12, width, seed=0), drawn(12, width, seed=1)
    wanted = sum(map(transported, targets, predictions)) / 12
    assert scores.wasserstein(targets, predictions) == pytest.approx(round(wanted, 5), abs=1e-9)


def test_wasserstein_adds_the_mass_that_a_rounded_label_has_too_much() -> None:
    assert scores.wasserstein([[0.51, 0.51]], [[0.5, 0.5]]) == pytest.approx(0.03)


def test_error_rate_rounds_the_share_of_each_item() -> None:
    assert scores.error_rate([[1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]) == 0.33333
    targets, predictions = labels(50, 0, 1, seed=0), labels(50, 0, 1, seed=0)
    flipped = [[1 - label for label in row] for row in predictions]
    assert scores.error_rate(targets, predictions) == 0.0
    assert scores.error_rate(targets, flipped) == 1.0


def test_multilabel_error_rate_is_the_mean_over_labels_and_items() -> None:
    targets = [[[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], [[0.0], [1.0], [0.0]]]
    predictions = [[[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]], [[1.0], [1.0], [0.0]]]
    assert scores.multilabel_error_rate(targets, predictions) == pytest.approx((0.5 / 3 + 1 / 3) / 2)


@pytest.mark.parametrize("steps", [6, 11])
def test_normalised_distance_is_not_in_per_cent(steps: int) -> None:
    targets, predictions = labels(40, 1, steps, seed=2), labels(40, 1, steps, seed=2)
    off = [[label - 1 for label in row] for row in predictions]
    assert scores.normalised_distance(targets, predictions, steps=steps) == 0.0
    assert scores.normalised_distance(targets, off, steps=steps) == pytest.approx(1 / steps, abs=1e-12)


def test_cross_entropy_is_entropy_and_divergence_and_a_share_of_zero_is_finite() -> None:
    targets, predictions = drawn(20, 2, seed=3), drawn(20, 2, seed=4)
    wanted = np.mean([entropy(t) + entropy(t, p) for t, p in zip(targets, predictions, strict=True)])
    assert scores.cross_entropy(targets, predictions) == pytest.approx(float(wanted), abs=1e-12)
    assert scores.cross_entropy([[0.0, 1.0]], [[1.0, 0.0]]) == pytest.approx(12 * np.log(10))


def test_soft_micro_f1_is_soft_accuracy_for_distributions_and_not_for_label_sets() -> None:
    targets, predictions = drawn(20, 5, seed=5), drawn(20, 5, seed=6)
    wanted = np.minimum(targets, predictions).sum(-1).mean()
    assert scores.soft_accuracy(targets, predictions) == pytest.approx(float(wanted), abs=1e-12)
    assert scores.soft_micro_f1(targets, predictions) == pytest.approx(float(wanted), abs=1e-12)
    # minima 0.2 0.1 | 0.1 0.4 | 0.7 0.4 over sums 0.5 0.9 | 0.9 0.7 | 1.6 1.1 of targets and predictions
    shares = [[0.2, 0.3], [0.1, 0.8], [0.9, 0.7]]
    predicted = [[0.8, 0.1], [0.3, 0.4], [0.7, 0.4]]
    assert scores.soft_micro_f1(shares, predicted) == pytest.approx(2 * 1.9 / 5.7)


@pytest.mark.parametrize(
    "score",
    [
        scores.manhattan,
        scores.wasserstein,
        scores.error_rate,
        scores.soft_accuracy,
        scores.soft_micro_f1,
    ],
)
def test_no_items_and_another_number_of_predictions_are_refused(score: scores.Score) -> None:
    with pytest.raises(ValueError, match="there is no item to score"):
        score([], [])
    with pytest.raises(ValueError, match="longer than argument"):
        score([[1.0, 0.0]], [[1.0, 0.0], [0.5, 0.5]])


def test_no_items_of_several_labels_are_refused() -> None:
    for score in (scores.multilabel_manhattan, scores.multilabel_error_rate):
        with pytest.raises(ValueError, match="there is no item to score"):
            score([], [])


def test_micro_f1_is_scikit_learns_on_the_largest_class() -> None:
    rng = np.random.default_rng(0)
    predictions = rng.dirichlet([1.0, 1.0, 1.0], 50)
    targets = rng.integers(0, 3, 50)
    wanted = f1_score(targets, predictions.argmax(-1), average="micro")
    assert scores.micro_f1(targets.tolist(), predictions.tolist()) == pytest.approx(wanted)
    assert scores.micro_f1([0, 1], [[0.5, 0.5], [0.5, 0.5]]) == 0.5  # a tie is the first class
    with pytest.raises(ValueError, match="there is no item to score"):
        scores.micro_f1([], [])
