"""Items whose response could not be read: uniform for the metrics of distributions, no label for those of labels."""

import pytest
import torch
from sklearn.metrics import f1_score
from torchmetrics import MetricCollection

from lalm_ambig.evaluation.intervals import Clusters, intervals, paired
from lalm_ambig.metrics.base import Answers, all_metrics

LABEL = torch.tensor([[0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]]).double()
PREDICTED = torch.tensor([[0.7, 0.3, 0.0], [0.6, 0.4, 0.0], [1 / 3] * 3, [1 / 3] * 3]).double()
PARSED = torch.tensor([True, True, False, False])
LABEL_METRICS = ("accuracy", "f1_macro", "f1_weighted", "ece_majority")


def values(answers: Answers) -> dict[str, float]:
    return {
        name: found.value
        for name, found in intervals(
            all_metrics(3), LABEL, predicted_dist=answers, clusters=Clusters()
        ).items()
    }


def test_an_unread_response_is_wrong_even_where_the_first_class_is_right() -> None:
    """Item 3 is uniform, whose largest class by the rule of ties, the first, is its majority: still no answer."""
    found = values(Answers(PREDICTED, PARSED))
    assert found["accuracy"] == 0.25
    assert values(Answers(PREDICTED, torch.ones(4).bool()))["accuracy"] == 0.5


def test_f1_misses_the_class_and_predicts_none() -> None:
    """Class 0: 1 right of 2 predicted, 2 targets: F1 = ½; classes 1 and 2: nothing right."""
    found = values(Answers(PREDICTED, PARSED))
    assert found["f1_macro"] == pytest.approx((0.5 + 0 + 0) / 3)
    assert found["f1_weighted"] == pytest.approx(0.5 * 2 / 4)
    no_label = 3
    told = {
        kind: f1_score(
            [0, 1, 0, 2], [0, 0, no_label, no_label], labels=[0, 1, 2], average=kind, zero_division=0
        )
        for kind in ("macro", "weighted")
    }
    assert found["f1_macro"] == pytest.approx(told["macro"])
    assert found["f1_weighted"] == pytest.approx(told["weighted"])


def test_calibration_against_the_label_says_a_third_and_is_wrong() -> None:
    """Bins of 1/15: 0.7 right (gap −0.3), 0.6 wrong (0.6), and twice 1/3 wrong."""
    found = values(Answers(PREDICTED, PARSED))
    assert found["ece_majority"] == pytest.approx((0.3 + 0.6 + 2 / 3) / 4)


def test_the_metrics_of_distributions_see_a_uniform_one_whatever_stands_there() -> None:
    garbage = PREDICTED.clone()
    garbage[2:] = torch.tensor([0.0, 1.0, 0.0])
    found, uniform = values(Answers(garbage, PARSED)), values(Answers(PREDICTED, PARSED.new_ones(4)))
    for name, value in found.items():
        if name not in (*LABEL_METRICS, "overconfidence"):
            assert value == pytest.approx(uniform[name], nan_ok=True), name


def test_an_unread_response_is_sure_of_nothing() -> None:
    """Read: 0.7 − 0.8 and 0.6 − 0.1."""
    assert values(Answers(PREDICTED, PARSED))["overconfidence"] == pytest.approx((-0.1 + 0.5) / 4)


def test_a_metric_adds_them_up_batch_by_batch() -> None:
    whole = values(Answers(PREDICTED, PARSED))
    for metric in all_metrics(3):
        for part in (slice(0, 1), slice(1, 3), slice(3, 4)):
            metric.update(LABEL[part], PREDICTED[part], PARSED[part])
        assert float(metric.compute()) == pytest.approx(whole[metric.name], nan_ok=True), metric.name


def test_a_collection_hands_every_metric_which_could_be_read() -> None:
    together = MetricCollection({metric.name: metric for metric in all_metrics(3)})
    together.update(LABEL[:3], PREDICTED[:3], PARSED[:3])
    together.update(LABEL[3:], PREDICTED[3:], PARSED[3:])
    found = {name: float(value) for name, value in together.compute().items()}
    assert found == pytest.approx(values(Answers(PREDICTED, PARSED)), nan_ok=True)


def test_two_runs_are_paired_each_with_its_own_unread_responses() -> None:
    label, first = LABEL.repeat(5, 1), PREDICTED.repeat(5, 1)
    answers = Answers(first, PARSED.repeat(5))
    found = paired(all_metrics(3), label, first=answers, second=first)
    assert found["accuracy"].value == pytest.approx(0.25 - 0.5)
    assert found["js_div_bits"].value == pytest.approx(0, abs=1e-6)
    same = paired(all_metrics(3), label, first=answers, second=answers)
    assert all(difference.value == 0 for difference in same.values() if difference.value == difference.value)
