"""The start of each fold of `fit --folds`."""

from pathlib import Path

from lalm_ambig.config.cli import Cli
from lalm_ambig.core.errors import InputError

PLACE = "{fold}"
"""Placeholder in `model.start` for the number of the fold."""


def start_of_fold(cli: Cli) -> None:
    """Put the number of the run's fold into `model.start`, if that has the placeholder (`runs/NAME-fold{fold}`).

    Args:
        cli: The configuration; its method and its settings are changed in place.

    Raises:
        InputError: The run has no fold.
    """
    start, fold = cli.model.start, cli.datamodule.corpus.fold
    if start is None or PLACE not in str(start):
        return
    if fold is None:
        raise InputError(
            f"{start} has {PLACE}, but this run has no fold:",
            where="model.start",
            remedy="add --folds all, or --data.corpus.init_args.fold N.",
        )
    path = str(start).replace(PLACE, str(fold))
    cli.model.start = Path(path)
    cli.config["model"]["init_args"]["start"] = path
