"""The uniform distribution: every class equally likely."""

from collections.abc import Sequence

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult, predict_same
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def uniform(items: Sequence[Item]) -> list[Prediction]:
    """Predict 1/C on every class of every item; an empty list without items."""
    if not items:
        return []
    width = len(items[0].votes)
    return predict_same(items, (1 / width,) * width)


class Uniform(Baseline):
    """`uniform` as a row."""

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        return BaselineResult(uniform(inputs.items), "every class equally likely")
