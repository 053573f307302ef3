"""The baseline that knows nothing: every class equally likely."""

from collections.abc import Sequence

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult, predict_same
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def uniform(items: Sequence[Item]) -> list[Prediction]:
    """1/C on every class of every item. Nothing for no items."""
    if not items:
        return []
    width = len(items[0].votes)
    return predict_same(items, (1 / width,) * width)


class Uniform(Baseline):
    """`uniform` as a row."""

    def answer(self, known: BaselineInputs) -> BaselineResult:
        return BaselineResult(uniform(known.items), "every class equally likely")
