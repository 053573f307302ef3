"""The class that an annotator chose most often in the training split, with all of the probability."""

from collections.abc import Sequence

from lalm_ambig.baselines.annotators import Dist, from_training
from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult
from lalm_ambig.baselines.prior import mean_label_dist
from lalm_ambig.core.types import Item


def commonest(ratings: Sequence[Item]) -> Dist:
    """1 for the class of the largest mean share among ratings; of equal ones, for the first."""
    mean = mean_label_dist(ratings)
    return tuple(float(place == mean.index(max(mean))) for place in range(len(mean)))


class AnnotatorMostFrequent(Baseline):
    """The most frequent class of each annotator; of all, for one without a training rating."""

    fitted_on = ("train",)

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        predictions, notes = from_training(inputs, "annotator_most_frequent", commonest)
        return BaselineResult(
            predictions, "each annotator's most frequent class of the training split", notes
        )
