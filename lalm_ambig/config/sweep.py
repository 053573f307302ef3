"""The option `--sweep KEY=V1,V2` of `fit`: one run for each value, and for each combination of several keys."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lalm_ambig.core.errors import InputError

FLAG = "--sweep"
HELP = (
    "Run the configuration once for each value of a key, each in a folder of its own, and compare them by validation: "
    "model.optimiser.learning_rate=1e-4,3e-4. Several keys make all combinations. --seeds runs each with each seed. "
    "With --test the test split is looked at for the chosen one alone."
)
EXAMPLE = "Write KEY=V1,V2, as model.optimiser.learning_rate=1e-4,3e-4."
OTHER_OPTIONS = {
    "seed": "--seeds 0 1 2",
    "seed_everything": "--seeds 0 1 2",
    "data.corpus.fold": "--folds all",
    "data.corpus.init_args.fold": "--folds all",
}
"""Keys with an option of their own, which knows how to pool its runs."""
CALL = ("folds", "seeds", "test", "logger", "estimate", "allow_trained_items", "sweep", "find_lr")
"""Options of a call, which are no settings of a run."""
CLOSING = {"[": "]", "{": "}", "(": ")", '"': '"', "'": "'"}
LONGEST = 30
"""Most characters of a value in a folder's name."""


@dataclass(frozen=True)
class Axis:
    """A key and its values, as the command line has them."""

    key: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]


def axes_of(given: Sequence[str] | None) -> tuple[Axis, ...] | None:
    """Read the values of `--sweep`.

    Args:
        given: KEY=V1,V2 for each key; None without the option.

    Returns:
        The keys with their values; None without the option.

    Raises:
        InputError: One is no KEY=V1,V2, has an empty or a repeated value, or a key stands twice or has another option.

    >>> axes_of(["a.b=1,[2,3]"])
    (Axis(key='a.b', values=('1', '[2,3]')),)
    """
    if given is None:
        return None
    axes = [_axis(text) for text in given]
    keys = [axis.key for axis in axes]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise InputError(f"{twice} stands twice.", where=FLAG, remedy="Give all of its values at once.")
    return tuple(axes)


def points(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """Return all combinations of values, the last key's changing first."""
    return list(itertools.product(*(axis.values for axis in axes)))


def suffix_of(axes: Sequence[Axis], point: Sequence[str]) -> str:
    """Return the end of the folder's name of a combination, if the run has a name.

    >>> suffix_of([Axis("a.rate", ("1e-4",))], ["1e-4"])
    '-rate=1e-4'
    """
    plain = [re.sub(r"[^\w.+-]+", "_", value)[:LONGEST] for value in point]
    return "".join(f"-{axis.name}={value}" for axis, value in zip(axes, plain, strict=True))


def _axis(text: str) -> Axis:
    key, equals, values = text.partition("=")
    key = key.strip().removeprefix("--")
    if not key or not equals:
        raise InputError(f"expected a key with its values, got {text!r}.", where=FLAG, remedy=EXAMPLE)
    if option := OTHER_OPTIONS.get(key):
        raise InputError(f"{key} has an option of its own:", where=FLAG, remedy=f"give {option}.")
    if key.replace("-", "_") in CALL:
        raise InputError(f"{key} is no setting of a run.", where=FLAG, remedy=EXAMPLE)
    parts = tuple(part.strip() for part in _split(values))
    if not all(parts):
        raise InputError(f"a value of {key} is empty: {text!r}.", where=FLAG, remedy=EXAMPLE)
    if twice := next((part for part in parts if parts.count(part) > 1), None):
        raise InputError(f"{key} has the value {twice} twice.", where=FLAG, remedy="Leave one out.")
    return Axis(key, parts)


def _split(text: str) -> Iterator[str]:
    """Yield the parts between commas that are in no brackets or quotes."""
    inside: list[str] = []
    part = ""
    for letter in text:
        if inside and letter == inside[-1]:
            inside.pop()
        elif letter in CLOSING and (not inside or inside[-1] not in "\"'"):
            inside.append(CLOSING[letter])
        if letter == "," and not inside:
            yield part
            part = ""
        else:
            part += letter
    yield part
