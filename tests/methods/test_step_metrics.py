"""The loss scale under which the mean over processes is the mean over items."""

from typing import Any

import pytest
import torch
from torchmetrics import MetricCollection

from lalm_ambig.core import distributed
from lalm_ambig.core.types import Batch, Item, Loss, Tokens
from lalm_ambig.methods.step_metrics import StepMetrics, validation_values
from lalm_ambig.metrics.base import vote_numbers
from lalm_ambig.metrics.divergences import BrierMean
from lalm_ambig.metrics.few_votes import BrierMeanUnbiased


def test_a_process_with_fewer_items_weighs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    def beside_three(value: Any) -> list[Any]:
        return [value, (3, [])] if isinstance(value, tuple) else [value, {}]

    monkeypatch.setattr(distributed, "all_gather_object", beside_three)
    nothing = torch.zeros(1, 1)
    items = (Item(id="a", votes=(1.0,)),)
    batch = Batch(items, Tokens(nothing.long(), nothing.bool()), None, torch.ones(1, 1))
    loss = Loss(torch.tensor(2.0), {})
    assert StepMetrics().reduce(batch, loss, {}) == pytest.approx(1 * 2 / 4)


@pytest.mark.parametrize("shared", [False, True])
def test_a_validation_with_shared_votes_has_no_metric_that_needs_draws(shared: bool) -> None:
    """The batch at hand happens to have whole votes; another of the same validation has none."""
    metrics = MetricCollection({"plain": BrierMean(2), "unbiased": BrierMeanUnbiased(2)})
    target, predicted = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    metrics.update(target, predicted, votes=vote_numbers([(1.0, 1.0)]))
    values = validation_values(metrics, shared_votes=shared)
    assert values["plain"].item() == 0.25
    assert values["unbiased"].isnan() if shared else values["unbiased"].item() == 0
