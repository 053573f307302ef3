"""The baseline that never looks at an item: what people said on average in training."""

from collections.abc import Sequence

import torch

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult, predict_same
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def prior(items: Sequence[Item], *, train: Sequence[Item]) -> list[Prediction]:
    """`mean_label_dist` of the training split for every item; InputError as there."""
    return predict_same(items, mean_label_dist(train))


def mean_label_dist(train: Sequence[Item]) -> tuple[float, ...]:
    """The mean label distribution of training items; an item counts once, however many voted.

    InputError without items, or where `train` holds an item of another split.
    """
    if not train:
        raise InputError("there is no training item to average", where="prior baseline")
    if strays := [item for item in train if item.split != "train"]:
        raise InputError(
            f"item {strays[0].id} is of split {strays[0].split}, not train", where="prior baseline"
        )
    mean = torch.tensor([item.label_dist for item in train], dtype=torch.float64).mean(0)
    return tuple(mean.tolist())


class Prior(Baseline):
    """`prior` as a row."""

    fitted_on = ("train",)

    def answer(self, known: BaselineInputs) -> BaselineResult:
        return BaselineResult(
            prior(known.items, train=known.train), "mean distribution of the training split"
        )
