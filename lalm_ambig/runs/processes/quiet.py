"""The warnings of libraries that are expected in every run, each with the reason. All others are shown.

A warning is known by its class and the beginning of its message, so that another one of the same class is seen.
"""

import logging
import re
import warnings
from dataclasses import dataclass

from lightning.fabric.utilities.warnings import PossibleUserWarning


@dataclass(frozen=True)
class Expected:
    """A warning that says nothing to a user."""

    category: type[Warning]
    message: str
    """Regular expression for the beginning of its message."""
    reason: str


EXPECTED = (
    Expected(PossibleUserWarning, r"The '\w+' does not have many workers", "cached features need none"),
    Expected(PossibleUserWarning, r"The number of training batches \(\d+\) is smaller than", "a small run"),
    Expected(PossibleUserWarning, r"Found \d+ module\(s\) in eval mode", "the frozen audio tower"),
    Expected(
        PossibleUserWarning, r"It is recommended to use `self\.log\(", "what is logged was pooled before"
    ),
    Expected(UserWarning, r"predict returned None", "predictions are kept by the method"),
    Expected(UserWarning, r"Checkpoint directory .* exists and is not empty", "a run that goes on"),
    Expected(UserWarning, r"Experiment logs directory .* exists and is not empty", "a run that goes on"),
    Expected(FutureWarning, r"`is_gradient_checkpointing` is deprecated", "peft's use of transformers"),
    Expected(FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated", "lightning's use of torch"),
)
LOGGED = {
    "DeepSpeed": re.compile(r"Setting (ds_)?accelerator to "),
    "lightning.pytorch.utilities.rank_zero": re.compile(r"`Trainer\.fit` stopped: "),
}
"""Logger → beginning of the messages that it says in every run: the device, and the setting that ends training."""


class _Without(logging.Filter):
    """Lets all messages pass but those of a pattern."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        super().__init__(pattern.pattern)  # the name by which an equal filter is known
        self.pattern = pattern

    def filter(self, record: logging.LogRecord) -> bool:
        return self.pattern.match(record.getMessage()) is None


def quiet_expected() -> None:
    """Silence the expected warnings. All others are shown as they were; it may be called twice."""
    for one in EXPECTED:
        warnings.filterwarnings("ignore", message=one.message, category=one.category)
    for name, pattern in LOGGED.items():
        logger = logging.getLogger(name)
        if pattern.pattern not in {known.name for known in logger.filters if isinstance(known, _Without)}:
            logger.addFilter(_Without(pattern))
