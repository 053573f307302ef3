"""What a baseline is: an answer to every item without the training that is to be judged.

To add one, write `baselines/NAME.py` with one subclass of `Baseline`; `python -m lalm_ambig.baseline NAME` finds it by
the module's name.
"""

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

import lalm_ambig.baselines
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.types import Item, Split


class Features(ABC):
    """Numbers that describe an item, from a frozen model."""

    @property
    @abstractmethod
    def meaning(self) -> str:
        """What they are, in one line."""

    @abstractmethod
    def __call__(self, items: Sequence[Item]) -> Float[Tensor, "item feature"]:
        """One row an item, in their order."""


@dataclass(frozen=True)
class Known:
    """What a baseline may look at."""

    items: Sequence[Item]
    """To be answered; their votes are only copied beside the answers (`panel` and `oracle` draw from them)."""
    train: Sequence[Item]
    validation: Sequence[Item]
    votes: Float[Tensor, "any_item category"]
    """Of all items of the corpus, whatever their split: how far its annotators disagree."""
    seed: int = 0
    """Of what is drawn."""
    features: Features | None = None
    """Present where the baseline `needs_features`."""


@dataclass(frozen=True)
class Answered:
    """A baseline's row."""

    predictions: list[Prediction]
    meaning: str
    """One line: how they came about."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the numbers."""


class Baseline(ABC):
    """One way to answer without training a policy."""

    needs_features: ClassVar[bool] = False
    """Whether it looks at a policy's features."""
    fitted_on: ClassVar[tuple[Split, ...]] = ()
    """Splits whose votes it learns from: its answers to these are no test."""

    @abstractmethod
    def answer(self, known: Known) -> Answered:
        """The prediction of every item of `known.items`; InputError where what it needs is missing."""


def baseline_names() -> list[str]:
    """The modules of this package that define a baseline."""
    return [m.name for m in pkgutil.iter_modules(lalm_ambig.baselines.__path__) if _class(m.name) is not None]


def baseline(name: str) -> Baseline:
    """The baseline of that module name. KeyError for a name that is none of `baseline_names`."""
    found = _class(name)
    if found is None:
        raise KeyError(name)
    return found()


def _class(module_name: str) -> type[Baseline] | None:
    module = importlib.import_module(f"lalm_ambig.baselines.{module_name}")
    own = [v for v in vars(module).values() if inspect.isclass(v) and v.__module__ == module.__name__]
    found = [cls for cls in own if issubclass(cls, Baseline) and not inspect.isabstract(cls)]
    return found[0] if found else None
