"""The members of a family: the runs of `fit --folds` and `fit --seeds`, and where each of them starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.seed import run_seed
from lalm_ambig.core.errors import InputError


@dataclass(frozen=True)
class Member:
    """One run of a family."""

    title: str
    """What sets it apart: its seed, its fold or both."""
    words: tuple[str, ...]
    """Its command line."""
    suffix: str
    """End of its folder's name, if `run.name` is set. The default name depends on seed and fold anyway."""


def members(cli: Cli, words: Sequence[str]) -> list[Member]:
    """The runs of a command line, each fold with each seed; none without `--folds` and `--seeds`.

    Args:
        cli: The configuration.
        words: Its command line.
    """
    if cli.folds is None and cli.seeds is None:
        return []
    found = []
    for seed in cli.seeds or (None,):
        for fold in cli.folds or (None,):
            own, titles, suffix = list(words), [], ""
            if seed is not None:
                own, titles, suffix = [*own, f"--seed={seed}"], [f"seed {seed}"], f"-s{seed}"
            if fold is not None:
                own.append(f"--data.corpus.init_args.fold={fold}")
                titles.append(f"fold {fold}")
                suffix += f"-fold{fold}"
            found.append(Member(", ".join(titles), tuple(own), suffix))
    return found


def start_of_member(cli: Cli) -> None:
    """Put seed and fold of the run into `model.start`, if that has their places (`runs/NAME-s{seed}-fold{fold}`).

    Args:
        cli: The configuration; its method and its settings are changed in place.

    Raises:
        InputError: There is a place for the fold, and the run has none.
    """
    path = None if cli.model.start is None else str(cli.model.start)
    if path is None or ("{fold}" not in path and "{seed}" not in path):
        return
    fold = cli.datamodule.corpus.fold
    if fold is None and "{fold}" in path:
        raise InputError(
            f"{path} has {{fold}}, but this run has no fold:",
            where="model.start",
            remedy="add --folds all, or --data.corpus.init_args.fold N.",
        )
    path = path.replace("{fold}", str(fold)).replace("{seed}", str(run_seed(cli.config)))
    cli.model.start = Path(path)
    cli.config["model"]["init_args"]["start"] = path
