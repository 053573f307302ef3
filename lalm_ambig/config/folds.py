"""The option `--folds` of fit: which of a corpus's folds are run, one after another, and what each starts from."""

from collections.abc import Sequence
from pathlib import Path

from lalm_ambig.config.cli import Cli
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import FOLDS

FLAG = "--folds"
PLACE = "{fold}"
"""In `model.start`: the number of the fold that is run."""


def taken_out(arguments: Sequence[str]) -> tuple[list[str], list[int] | None]:
    """The other arguments, and the folds that were asked for: `all`, or numbers with commas; None without the option.

    InputError for anything else, or a fold that there is not.
    """
    rest, given = list[str](), None
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == FLAG:
            given = value if equals else next(words, "")
        else:
            rest.append(word)
    return rest, None if given is None else _numbers(given)


def _numbers(given: str) -> list[int]:
    if given == "all":
        return list(range(FOLDS))
    parts = given.split(",")
    if not all(part.isdecimal() and int(part) < FOLDS for part in parts):
        raise InputError(
            f"expected all, or numbers from 0 to {FOLDS - 1} with commas, got {given!r}", where=FLAG
        )
    return [int(part) for part in dict.fromkeys(parts)]


def start_of_fold(cli: Cli) -> None:
    """Put the run's fold into `model.start`, where it names one run a fold (`runs/NAME-fold{fold}`).

    InputError where the run has no fold. The configuration holds the run's own start then.
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
    own = str(start).replace(PLACE, str(fold))
    cli.model.start = Path(own)
    cli.config["model"]["init_args"]["start"] = own
