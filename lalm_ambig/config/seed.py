"""The one seed of a run: its two names, and the settings that take its value."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.rollouts.sampling import Sampling

NAMES = ("seed", "seed_everything")
"""The setting, and its older name."""
FOLLOWERS = ("data.seed", "model.init_args.sampling.seed")
"""Settings that take the run's seed. Older configurations name them."""
LARGEST = 2**32 - 1
"""Largest seed of numpy's generator."""
HELP = (
    "One number for everything that is drawn in a run: order of the training items, sampled responses, start of "
    "adapter and projector, dropout. The split has its own, data.corpus.seed. --seed_everything is another name of it."
)


def check_names(words: Sequence[str], files: Sequence[Path]) -> None:
    """Check that the command line and each file give one seed, whichever of the two names they use.

    Args:
        words: The command line.
        files: Files that it names.

    Raises:
        InputError: The two names have different values at one place.
    """
    contents = {str(path): read_yaml(path) for path in files}
    for where, settings in {"command line": _seeds_in_words(words), **contents}.items():
        if not isinstance(settings, dict):
            continue
        values = {name: settings[name] for name in NAMES if name in settings}
        if len(set(map(str, values.values()))) > 1:
            one, other = (f"{name} {value}" for name, value in values.items())
            raise InputError(
                f"{one} and {other} are one setting with two values:", where=where, remedy="give one of them."
            )


def _seeds_in_words(words: Sequence[str]) -> dict[str, str]:
    """Return the values of the two names on a command line."""
    values = {}
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in NAMES:
            values[name] = value if equals else following
    return values


def run_seed(config: Namespace) -> int:
    """Return the run's seed, in [0, 2³² - 1].

    Args:
        config: The parsed configuration.

    Returns:
        The seed. False and True, as older configurations have them, give 0.

    Raises:
        InputError: The number is out of range.
    """
    seed = config["seed"]
    if isinstance(seed, bool):
        return 0
    if not 0 <= seed <= LARGEST:
        raise InputError(f"seed must be from 0 to {LARGEST}, got {seed}", where="configuration")
    return int(seed)


def check_trainable(config: Namespace) -> None:
    """Check that the run has one seed, and that no part of the configuration sets another one.

    Args:
        config: The parsed configuration.

    Raises:
        InputError: The seed is no number, or a part has another seed.
    """
    if isinstance(config["seed"], bool):
        raise InputError(
            f"seed must be a whole number, got {str(config['seed']).lower()}:",
            where="configuration",
            remedy="give --seed 0.",
        )
    seed = run_seed(config)
    for key in FOLLOWERS:
        part_seed, name = config.get(key), key.replace("init_args.", "")
        if part_seed is not None and part_seed != seed:
            raise InputError(
                f"{name} is {part_seed}, but the run's one seed is {seed}:",
                where="configuration",
                remedy=f"leave it out, or give --{name}={seed}.",
            )


def seeded(config: Namespace) -> Namespace:
    """Put the run's seed into every setting that takes it, before the objects are made.

    Args:
        config: The parsed configuration. It is not changed.

    Returns:
        A copy with the seed in its parts.

    Raises:
        InputError: The seed is out of range.
    """
    seed, filled = run_seed(config), config.clone()
    filled["data.seed"] = seed
    if "model.init_args.sampling" in filled:
        sampling: Any = filled["model.init_args.sampling"]
        settings = {**vars(sampling or Sampling()), "seed": seed}
        filled["model.init_args.sampling"] = Namespace(**settings)  # type: ignore[no-untyped-call]
    return filled


def without_followers(config: Namespace) -> Namespace:
    """Remove the seeds of parts, which only older configurations name.

    Args:
        config: The parsed configuration. It is not changed.

    Returns:
        A copy in which these seeds are None.
    """
    cleared = config.clone()
    for key in FOLLOWERS:
        if cleared.get(key) is not None:
            cleared[key] = None
    return cleared
