"""The bar counts epochs from 1, and has the loss and the metric that chooses the checkpoint."""

from types import SimpleNamespace

import pytest
import torch

from lalm_ambig.core.lightning_internals import CountedEpochs
from lalm_ambig.runs.progress import RunBar


@pytest.mark.parametrize(
    ("last", "epoch", "expected"),
    [(6, 0, "Epoch 1/6"), (6, 5, "Epoch 6/6"), (-1, 0, "Epoch 1"), (None, 9, "Epoch 10")],
)
def test_epochs_are_counted_from_1(last: int | None, epoch: int, expected: str) -> None:
    bar = CountedEpochs()
    bar._trainer = SimpleNamespace(max_epochs=last)
    assert bar._get_train_description(epoch).strip() == expected


def test_the_bar_has_two_numbers() -> None:
    values = {
        "train/loss": torch.tensor(1.8),
        "train/kl": torch.tensor(1.0),
        "curated/js_div_bits": torch.tensor(0.4),
        "generated/js_div_bits": torch.tensor(0.5),
    }
    trainer = SimpleNamespace(progress_bar_metrics=values)
    shown = RunBar().get_metrics(trainer, SimpleNamespace(monitor="generated/js_div_bits"))
    assert {name: round(float(value), 3) for name, value in shown.items()} == {"loss": 1.8, "val JS": 0.5}
    none = SimpleNamespace(progress_bar_metrics={})
    assert RunBar().get_metrics(none, SimpleNamespace(monitor="direct/js_div_bits")) == {}
