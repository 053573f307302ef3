"""A metric of ordered classes is compared where classes have an order, and refused where they have none."""

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.comparison import chosen_metrics


def test_all_metrics_are_those_that_the_classes_can_have() -> None:
    ordered = {metric.name for metric in chosen_metrics(None, n_categories=3, ordered=True)}
    others = {metric.name for metric in chosen_metrics(None, n_categories=3, ordered=False)}
    assert ordered - others == {"wasserstein", "rps", "mae_mean"}


def test_a_metric_of_steps_is_refused_for_classes_without_an_order() -> None:
    assert [m.name for m in chosen_metrics(["rps"], n_categories=3, ordered=True)] == ["rps"]
    with pytest.raises(InputError, match=r"--metric: rps counts steps between ordered classes"):
        chosen_metrics(["bc", "rps"], n_categories=3, ordered=False)
    with pytest.raises(InputError, match=r"unknown metric 'rbs'"):
        chosen_metrics(["rbs"], n_categories=3, ordered=False)
