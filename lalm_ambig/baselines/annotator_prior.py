"""The shares of the classes that an annotator chose in the training split, for every item."""

from lalm_ambig.baselines.annotators import from_training
from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult
from lalm_ambig.baselines.prior import mean_label_dist


class AnnotatorPrior(Baseline):
    """The mean distribution of each annotator's ratings; of all ratings, for one without a training rating."""

    fitted_on = ("train",)

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        predictions, notes = from_training(inputs, "annotator_prior", mean_label_dist)
        return BaselineResult(predictions, "each annotator's shares of the training split", notes)
