"""Predictions that are the same for every item."""

from collections.abc import Sequence

from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.types import Item


def predict_same(items: Sequence[Item], predicted_dist: tuple[float, ...]) -> list[Prediction]:
    """One distribution as the prediction for all items, scored against their votes."""
    return [
        Prediction(item.id, item.split, item.speaker, item.votes, item.label_dist, predicted_dist)
        for item in items
    ]
