"""The loss scale under which the mean over processes is the mean over items."""

from typing import Any

import pytest
import torch

from lalm_ambig.core import distributed
from lalm_ambig.core.types import Batch, Item, Loss, Tokens
from lalm_ambig.methods.step_metrics import StepMetrics


def test_a_process_with_fewer_items_weighs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    def beside_three(value: Any) -> list[Any]:
        return [value, (3, [])] if isinstance(value, tuple) else [value, {}]

    monkeypatch.setattr(distributed, "all_gather_object", beside_three)
    nothing = torch.zeros(1, 1)
    items = (Item(id="a", votes=(1.0,)),)
    batch = Batch(items, Tokens(nothing.long(), nothing.bool()), None, torch.ones(1, 1))
    loss = Loss(torch.tensor(2.0), {})
    assert StepMetrics().reduce(batch, loss, {}) == pytest.approx(1 * 2 / 4)
