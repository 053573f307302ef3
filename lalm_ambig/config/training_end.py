"""A run needs a last step, since the learning rate falls to 0 there."""

from collections.abc import Mapping
from typing import Any

from lalm_ambig.core.errors import InputError


def check_has_end(trainer: Mapping[str, Any]) -> None:
    """Refuse a training whose number of steps is unknown before it begins.

    Args:
        trainer: The trainer's settings.

    Raises:
        InputError: Neither epochs nor steps are limited.
    """
    epochs, steps = trainer["max_epochs"], trainer["max_steps"]
    unlimited = epochs == -1 or (
        epochs is None and trainer["max_time"] is not None
    )  # otherwise null means 1000
    if steps == -1 and unlimited:
        raise InputError(
            f"training has no last step, where the learning rate is 0: max_epochs {epochs}, max_steps {steps}.",
            where="trainer",
            remedy="Give trainer.max_epochs or trainer.max_steps; trainer.max_time may end it earlier.",
        )
