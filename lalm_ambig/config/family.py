"""The members of a family: the runs of `fit --folds`, `--seeds` and `--sweep`, and where each of them starts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.seed import run_seed
from lalm_ambig.config.sweep import points, suffix_of
from lalm_ambig.core.errors import InputError


@dataclass(frozen=True)
class Member:
    """One run of a family."""

    title: str
    """What sets it apart: its values of a sweep, its seed, its fold."""
    words: tuple[str, ...]
    """Its command line."""
    suffix: str
    """End of its folder's name, if `run.name` is set. The default name depends on seed and fold anyway."""
    point: tuple[str, ...] = ()
    """Its values of the swept keys."""


def members(cli: Cli, words: Sequence[str]) -> list[Member]:
    """The runs of a command line: each combination of a sweep with each fold and seed.

    Args:
        cli: The configuration.
        words: Its command line.

    Returns:
        The runs; none without `--sweep`, `--folds` and `--seeds`.

    Raises:
        InputError: A seed or fold is asked for beside those of the family.
    """
    axes = cli.sweep
    if axes is None and cli.folds is None and cli.seeds is None:
        return []
    _check_alone(cli, words)
    found = []
    every = itertools.product(points(axes or ()), cli.seeds or (None,), cli.folds or (None,))
    for point, seed, fold in every:
        own, suffix = list(words), suffix_of(axes or (), point)
        titles = [f"{axis.name} {value}" for axis, value in zip(axes or (), point, strict=True)]
        own += [f"--{axis.key}={value}" for axis, value in zip(axes or (), point, strict=True)]
        if seed is not None:
            own, titles, suffix = [*own, f"--seed={seed}"], [*titles, f"seed {seed}"], f"{suffix}-s{seed}"
        if fold is not None:
            own.append(f"--data.corpus.init_args.fold={fold}")
            titles.append(f"fold {fold}")
            suffix += f"-fold{fold}"
        found.append(Member(", ".join(titles), tuple(own), suffix, point))
    return found


def _check_alone(cli: Cli, words: Sequence[str]) -> None:
    """Refuse `--seed` beside `--seeds`, and a fold beside `--folds`: the family would drop it."""
    asked = {word.partition("=")[0] for word in words}
    for family, given, single in (
        ("--seeds", cli.seeds, {"--seed"}),
        ("--folds", cli.folds, {"--data.corpus.fold", "--data.corpus.init_args.fold"}),
    ):
        if given is not None and (both := asked & single):
            raise InputError(
                f"{family} says it for every run:", where=min(both), remedy="leave one of the two out."
            )


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
