"""The class with the largest mean share in the training split, with all of the probability, for every item."""

from collections.abc import Sequence

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult, predict_same
from lalm_ambig.baselines.prior import mean_label_dist
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def most_frequent(items: Sequence[Item], *, train: Sequence[Item]) -> list[Prediction]:
    """Predict 1 for the class of the largest share in `mean_label_dist`; of equal ones, for the first.

    Raises:
        InputError: As for `mean_label_dist`.
    """
    mean = mean_label_dist(train)
    largest = mean.index(max(mean))
    return predict_same(items, tuple(float(place == largest) for place in range(len(mean))))


class MostFrequent(Baseline):
    """`most_frequent`, learnt from the training split."""

    fitted_on = ("train",)

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        predictions = most_frequent(inputs.items, train=inputs.train)
        return BaselineResult(predictions, "the most frequent class of the training split, with certainty")
