"""The mean label distribution of training items as a prediction, on its own corpus or on another."""

from collections.abc import Sequence

import torch

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult, predict_same
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def prior(items: Sequence[Item], *, train: Sequence[Item]) -> list[Prediction]:
    """Predict `mean_label_dist` of the training split for every item.

    Raises:
        InputError: As for `mean_label_dist`.
    """
    return predict_same(items, mean_label_dist(train))


def mapped_prior(
    items: Sequence[Item], *, train: Sequence[Item], trained: CategorySet, categories: CategorySet
) -> list[Prediction]:
    """Predict the prior of one corpus for the items of another: what transfers without listening.

    It belongs to the cross-domain setting of ambiguity-aware LALM, Table 3. The distribution is mapped to the other
    classes, restricted to them and renormalised. A class that nobody was offered in training gets 0.

    Args:
        items: The items to answer.
        train: Training items of the other corpus.
        trained: The classes of `train`.
        categories: The classes of `items`.

    Raises:
        InputError: The two share no class that anybody chose, or as for `mean_label_dist`.
    """
    mean = mean_label_dist(train)
    shares = [0.0 if at is None else mean[at] for at in categories.positions_in(trained)]
    if not sum(shares):
        raise InputError(
            f"no training item has a vote for any of {', '.join(categories.names)}", where="mapped prior"
        )
    return predict_same(items, tuple(share / sum(shares) for share in shares))


def mean_label_dist(train: Sequence[Item]) -> tuple[float, ...]:
    """The mean label distribution of training items; an item counts once, however many people voted.

    Raises:
        InputError: There is no item, or one is of another split.
    """
    if not train:
        raise InputError(
            "there is no training item to average: the corpus is for tests only, or its split has none.",
            where="baseline",
            remedy="uniform, panel and oracle need none.",
        )
    if strays := [item for item in train if item.split != "train"]:
        raise InputError(
            f"item {strays[0].id} is of split {strays[0].split}, not train", where="prior baseline"
        )
    mean = torch.tensor([item.label_dist for item in train], dtype=torch.float64).mean(0)
    return tuple(mean.tolist())


class Prior(Baseline):
    """`prior`, learnt from the training split."""

    fitted_on = ("train",)

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        predictions = prior(inputs.items, train=inputs.train)
        return BaselineResult(predictions, "mean distribution of the training split")
