"""Expected warnings are silent, and all others are seen: also of the same class, and with the same words."""

import logging
import warnings

import pytest
from lightning.fabric.utilities.warnings import PossibleUserWarning

from lalm_ambig.runs.processes.quiet import quiet_expected

EXPECTED = [
    (PossibleUserWarning, "The 'val_dataloader' does not have many workers which may be a bottleneck."),
    (PossibleUserWarning, "The number of training batches (3) is smaller than the logging interval Trainer("),
    (PossibleUserWarning, "Found 12 module(s) in eval mode at the start of training."),
    (PossibleUserWarning, "It is recommended to use `self.log('train/loss', ..., sync_dist=True)` when"),
    (UserWarning, "predict returned None if it was on purpose, ignore this warning..."),
    (UserWarning, "Checkpoint directory /runs/x exists and is not empty."),
    (UserWarning, "Experiment logs directory /runs/x exists and is not empty. Previous log files in"),
    (FutureWarning, "`is_gradient_checkpointing` is deprecated and will be removed in v6."),
    (FutureWarning, "`isinstance(treespec, LeafSpec)` is deprecated, use `isinstance(treespec, TreeSpec)"),
]
OTHERS = [
    (PossibleUserWarning, "The dataloader is slow"),
    (
        PossibleUserWarning,
        "Your loss: The number of training batches (3) is smaller than the logging interval",
    ),
    (RuntimeWarning, "The number of training batches (3) is smaller than the logging interval"),
    (UserWarning, "Found 12 module(s) in eval mode"),
    (UserWarning, "Detected NaN"),
    (FutureWarning, "`other` is deprecated"),
]


def seen(category: type[Warning], message: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet_expected()
        warnings.warn(message, category, stacklevel=1)
    return [str(one.message) for one in caught]


@pytest.mark.parametrize(("category", "message"), EXPECTED)
def test_an_expected_warning_is_silent(category: type[Warning], message: str) -> None:
    assert seen(category, message) == []


@pytest.mark.parametrize(("category", "message"), OTHERS)
def test_another_one_is_seen(category: type[Warning], message: str) -> None:
    assert seen(category, message) == [message]


def test_lines_of_a_library_are_silent_once_and_all_others_are_seen(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        quiet_expected()
        quiet_expected()
    logger = logging.getLogger("DeepSpeed")
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    logger.warning(
        "Setting accelerator to CPU. If you have GPU or other accelerator, we were unable to detect it."
    )
    logger.info("Setting ds_accelerator to cpu (auto detect)")
    logger.warning("out of memory")
    logger.removeHandler(caplog.handler)
    assert set(caplog.messages) == {"out of memory"}
    assert len([f for f in logger.filters if "accelerator" in getattr(f, "name", "")]) == 1
