"""Options of `fit` beside the configuration: families of runs, the test, loggers, the estimate, and two permissions.

The parser knows them, so that `--help` lists them. They belong to one call. A run's identity and its config.yaml do
not have them.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from lalm_ambig.config.estimate_option import FLAG as ESTIMATE_FLAG
from lalm_ambig.config.estimate_option import HELP as ESTIMATE_HELP
from lalm_ambig.config.estimate_option import EstimateOptions
from lalm_ambig.config.files import ALLOW_FLAG
from lalm_ambig.config.loggers import FLAG as LOGGER_FLAG
from lalm_ambig.config.loggers import HELP as LOGGER_HELP
from lalm_ambig.config.sweep import FLAG as SWEEP_FLAG
from lalm_ambig.config.sweep import HELP as SWEEP_HELP
from lalm_ambig.config.trust import ALLOW_HELP
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import FOLDS

FOLDS_FLAG = "--folds"
SEEDS_FLAG = "--seeds"
TEST_FLAG = "--test"
TRAINED_ITEMS_FLAG = "--allow-trained-items"
FIND_FLAG = "--find-lr"
FIND_STEPS, FEWEST_STEPS = 100, 20
FIND_HELP = (
    "Suggest a learning rate: raise it over N (100) updates from 1e-7 to 1, and see where the loss is lowest. "
    "Writes the losses and a figure below run.root, and no run."
)
KEYS = ("folds", "seeds", "sweep", "test", "logger", "find_lr", "estimate", "allow_trained_items")
"""Keys of these options in the parsed configuration."""
FOLDS_HELP = "Run these folds of the corpus, each in a folder of its own: all, or numbers with commas (0,3)."
SEEDS_HELP = "Run the configuration with each of these seeds, each in a folder of its own: 0 1 2."
TEST_HELP = (
    "Evaluate the test split as well, and show its table below that of validation. A family (--folds, --seeds) is "
    "always tested, and its test table comes at its end."
)
TRAINED_ITEMS_HELP = "Test also on items that the start was trained on. Every table says so."


class ReadAhead(argparse.Action):
    """A switch that `read_ahead` has read before. The parser only knows its name."""

    def __call__(self, *_: Any) -> None:
        """Do nothing."""


def add_run_options(parser: LightningArgumentParser) -> None:
    """Add the options to the parser of a configuration.

    Args:
        parser: The parser.
    """
    parser.add_argument(FOLDS_FLAG, type=str | None, default=None, help=FOLDS_HELP)
    parser.add_argument(SEEDS_FLAG, nargs="+", type=str, default=None, metavar="N", help=SEEDS_HELP)
    parser.add_argument(
        SWEEP_FLAG, action="extend", nargs="+", type=str, metavar="KEY=V1,V2", help=SWEEP_HELP
    )
    parser.add_argument(TEST_FLAG, action="store_true", help=TEST_HELP)
    parser.add_argument(LOGGER_FLAG, action="extend", nargs="+", type=str, metavar="NAME", help=LOGGER_HELP)
    parser.add_argument(FIND_FLAG, type=int | None, nargs="?", const=FIND_STEPS, metavar="N", help=FIND_HELP)
    parser.add_argument(ESTIMATE_FLAG, type=EstimateOptions | None, nargs="?", const={}, help=ESTIMATE_HELP)
    parser.add_argument(TRAINED_ITEMS_FLAG, action="store_true", help=TRAINED_ITEMS_HELP)
    silent: Any = argparse.SUPPRESS
    parser.add_argument(ALLOW_FLAG, action=ReadAhead, nargs=0, dest=silent, default=silent, help=ALLOW_HELP)


def fold_numbers(given: str | None) -> list[int] | None:
    """Read the numbers of folds from the value of `--folds`.

    Args:
        given: The value; None without the option.

    Returns:
        Numbers of folds in the order given, each once. None without the option.

    Raises:
        InputError: The text is neither `all` nor numbers of folds with commas.

    >>> fold_numbers("3,0,3")
    [3, 0]
    """
    if given is None:
        return None
    if given == "all":
        return list(range(FOLDS))
    parts = given.split(",")
    if not all(part.isdecimal() and int(part) < FOLDS for part in parts):
        raise InputError(
            f"expected all, or numbers from 0 to {FOLDS - 1} with commas, got {given!r}", where=FOLDS_FLAG
        )
    return [int(part) for part in dict.fromkeys(parts)]


def seed_numbers(given: Sequence[str] | None) -> list[int] | None:
    """Read the seeds from the values of `--seeds`.

    Args:
        given: The values, also several in one with commas; None without the option.

    Returns:
        Seeds in the order given, each once. None without the option.

    Raises:
        InputError: One is no whole number from 0.

    >>> seed_numbers(["2", "0,2"])
    [2, 0]
    """
    if given is None:
        return None
    parts = [part for text in given for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"expected whole numbers from 0, got {' '.join(given)!r}", where=SEEDS_FLAG)
    return list(dict.fromkeys(int(part) for part in parts))


def find_steps(given: int | None) -> int | None:
    """Check the value of `--find-lr`.

    Args:
        given: The value; None without the option.

    Returns:
        Optimiser steps. None without the option.

    Raises:
        InputError: There are too few to see anything.
    """
    if given is not None and given < FEWEST_STEPS:
        raise InputError(f"expected at least {FEWEST_STEPS} updates, got {given}", where=FIND_FLAG)
    return given
