"""Errors of single annotators by hand, and equal to the shared task's scores on the same labels."""

import pytest
import torch
from torch import Tensor

from lalm_ambig.metrics import shared_task
from lalm_ambig.metrics.annotators import (
    chosen_labels,
    error_kind,
    label_sets,
    median_steps,
    rating_errors,
)

SCALE = ["1", "2", "3", "4", "5", "6"]
SETS = ["c", "e", "n", "c+e", "c+n", "e+n"]


def chosen(places: list[int], width: int) -> Tensor:
    return torch.eye(width, dtype=torch.float64)[places]


def dists(count: int, width: int) -> Tensor:
    return torch.distributions.Dirichlet(torch.full((width,), 0.5)).sample((count,)).double()


def test_classes_are_sets_where_their_names_are_those_of_others_with_a_plus() -> None:
    assert label_sets(SETS) == ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
    assert label_sets(["yes", "no"]) is None
    assert label_sets(["c", "c++", "c+"]) is None
    kinds = [
        error_kind(SETS, ordered=False),
        error_kind(["a", "b"], ordered=False),
        error_kind(SCALE, ordered=True),
    ]
    assert kinds == ["labels", "rate", "distance"]


def test_the_median_has_the_least_expected_distance_and_is_the_lower_one_of_two() -> None:
    torch.manual_seed(0)
    predicted = dists(200, 6)
    steps = torch.arange(6.0).double()
    expected = (predicted[:, None, :] * (steps[None, :, None] - steps).abs()).sum(-1)
    found = expected.gather(-1, median_steps(predicted)[:, None])[:, 0]
    torch.testing.assert_close(found, expected.min(-1).values)
    assert median_steps(torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]])).tolist() == [0, 2]
    assert median_steps(torch.full((1, 10), 0.1)).tolist() == [4]  # rounding does not move it
    assert median_steps(torch.tensor([[0.49999997, 0.0, 0.5]])).tolist() == [0]


def test_a_label_is_answered_with_if_more_than_half_of_the_probability_has_it() -> None:
    sets = label_sets(SETS)
    assert sets is not None
    predicted = torch.tensor([[0.3, 0.1, 0.1, 0.25, 0.0, 0.25], [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]])
    assert chosen_labels(predicted, sets).tolist() == [[1, 1, 0], [0, 0, 0]]
    assert chosen_labels(torch.full((1, 6), 1 / 6), sets).tolist() == [
        [0, 0, 0]
    ]  # thirds in single precision


def test_errors_by_hand() -> None:
    scale = rating_errors(chosen([0, 5], 6), chosen([3, 5], 6), names=SCALE, ordered=True)
    assert scale.tolist() == pytest.approx([3 / 6, 0])
    rate = rating_errors(
        chosen([0, 1], 2), torch.tensor([[0.4, 0.6]] * 2), names=["no", "yes"], ordered=False
    )
    assert rate.tolist() == [1, 0]
    labels = rating_errors(chosen([3, 2], 6), chosen([0, 4], 6), names=SETS, ordered=False)
    assert labels.tolist() == pytest.approx([1 / 3, 1 / 3])
    two = rating_errors(
        torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]]), names=["a", "b"], ordered=False
    )
    assert two.tolist() == [0.5]


@pytest.mark.parametrize("kind", ["rate", "distance", "labels"])
def test_the_mean_over_items_is_the_shared_task_s_score(kind: str) -> None:
    torch.manual_seed(1)
    names = {"rate": ["no", "yes"], "distance": SCALE, "labels": SETS}[kind]
    sizes = [2, 5, 3, 1]
    target = chosen(torch.randint(len(names), (sum(sizes),)).tolist(), len(names))
    predicted = dists(sum(sizes), len(names))
    errors = rating_errors(target, predicted, names=names, ordered=kind == "distance").split(sizes)
    ours = sum(float(item.mean()) for item in errors) / len(sizes)
    rows = list(zip(target.split(sizes), predicted.split(sizes), strict=True))
    if kind == "rate":
        pairs = [[one.argmax(-1).double().tolist() for one in row] for row in rows]
        score = shared_task.error_rate([t for t, _ in pairs], [p for _, p in pairs])
    elif kind == "distance":
        score = shared_task.normalised_distance(
            [t.argmax(-1).double().tolist() for t, _ in rows],
            [median_steps(p).double().tolist() for _, p in rows],
            steps=6,
        )
    else:
        sets = label_sets(names)
        assert sets is not None
        by_label = [[chosen_labels(one, sets).T.tolist() for one in row] for row in rows]
        score = shared_task.multilabel_error_rate([t for t, _ in by_label], [p for _, p in by_label])
    assert ours == pytest.approx(
        score, abs=1e-5
    )  # the shared task rounds each item's error rate to five digits
