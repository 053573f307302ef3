"""The option `--logger` of `fit`: what a run's metrics are written to beside its metrics.csv."""

from collections.abc import Sequence

from lalm_ambig.config.command_line import closest
from lalm_ambig.core.errors import InputError

FLAG = "--logger"
BESIDE = ("tensorboard", "wandb")
"""Loggers beside metrics.csv, which every run has."""
NAMES = (*BESIDE, "csv", "none")
HELP = (
    "Write metrics also to tensorboard, wandb or both; csv and none: metrics.csv alone. Every run has metrics.csv. By "
    "default tensorboard, if it is installed. --trainer.logger adds any other logger of Lightning."
)


def logger_names(given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Read the values of `--logger`.

    Args:
        given: The values, also several in one with commas; None without the option.

    Returns:
        Names of loggers beside metrics.csv, each once. None without the option.

    Raises:
        InputError: A name is unknown, or `none` stands beside another one.

    >>> logger_names(["wandb,csv", "wandb"])
    ('wandb',)
    """
    if given is None:
        return None
    names = [name.strip().lower() for text in given for name in text.split(",")]
    for name in names:
        if name not in NAMES:
            meant = closest(name, NAMES)
            guess = f": did you mean {meant}?" if meant else "."
            raise InputError(f"expected {' or '.join(NAMES)}, got {name!r}{guess}", where=FLAG)
    if "none" in names and set(names) - {"none", "csv"}:
        others = ", ".join(name for name in names if name != "none")
        raise InputError(f"none stands beside {others}.", where=FLAG, remedy="Give one of them.")
    return tuple(dict.fromkeys(name for name in names if name in BESIDE))
