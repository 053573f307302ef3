"""The interface of a baseline: an answer to every item without the training that is to be judged.

To add one, write `baselines/NAME.py` with one subclass of `Baseline`; `python -m lalm_ambig.baseline NAME` finds it by
the module's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

import lalm_ambig.baselines
from lalm_ambig.core.discovery import classes_in, module_names, module_of
from lalm_ambig.core.types import Item, Split
from lalm_ambig.evaluation.predictions import Prediction


class Features(ABC):
    """Numbers that describe an item, from a frozen model."""

    @property
    @abstractmethod
    def meaning(self) -> str:
        """One line that says where they come from."""

    @abstractmethod
    def __call__(self, items: Sequence[Item]) -> Float[Tensor, "item feature"]:
        """One row per item, in their order."""


@dataclass(frozen=True)
class BaselineInputs:
    """All that a baseline may look at."""

    items: Sequence[Item]
    """The items to answer. Their votes are only copied beside the answers; `panel` and `oracle` draw from them."""
    train: Sequence[Item]
    validation: Sequence[Item]
    votes: Float[Tensor, "any_item category"]
    """The votes of all items of the corpus, of every split: they show how far its annotators disagree."""
    seed: int = 0
    """Seed of what is drawn."""
    features: Features | None = None
    """Present where the baseline `needs_features`."""


@dataclass(frozen=True)
class BaselineResult:
    """A baseline's row."""

    predictions: list[Prediction]
    meaning: str
    """One line that says how the predictions came about."""
    notes: tuple[str, ...] = ()
    """Remarks that go below a table, each without a full stop."""


class Baseline(ABC):
    """One way to answer without training a policy."""

    needs_features: ClassVar[bool] = False
    """Whether it looks at a policy's features."""
    fitted_on: ClassVar[tuple[Split, ...]] = ()
    """Splits whose votes it learns from; its answers to these are no test."""

    @abstractmethod
    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        """Predict every item of `inputs.items`.

        Raises:
            InputError: Something that the baseline needs is missing.
        """


def baseline_names() -> list[str]:
    """The modules of this package that define a baseline."""
    return [name for name in module_names(lalm_ambig.baselines) if _class(name) is not None]


def baseline(name: str) -> Baseline:
    """The baseline of that module name.

    Raises:
        KeyError: The name is none of `baseline_names()`.
    """
    cls = _class(name)
    if cls is None:
        raise KeyError(name)
    return cls()


def _class(module_name: str) -> type[Baseline] | None:
    classes = classes_in(module_of(lalm_ambig.baselines, module_name), Baseline)
    return classes[0] if classes else None


def predict_one(item: Item, predicted_dist: tuple[float, ...]) -> Prediction:
    """A distribution as the prediction for an item, scored against its votes."""
    return Prediction(
        item.id,
        item.split,
        item.speaker,
        item.votes,
        item.label_dist,
        predicted_dist,
        annotator=item.annotator,
    )


def predict_same(items: Sequence[Item], predicted_dist: tuple[float, ...]) -> list[Prediction]:
    """One distribution as the prediction for all items, scored against their votes."""
    return [predict_one(item, predicted_dist) for item in items]
