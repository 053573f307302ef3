"""The items whose responses are shown: those that were asked for, or one per ambiguity level, chosen by a rule."""

from collections.abc import Sequence

import torch

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, js_distance, normalised_entropy
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import Prediction

ShownItem = tuple[str, str]
"""Id of an item, and its ambiguity level."""


def items_of_ids(ids: Sequence[str], predictions: Sequence[Prediction]) -> list[ShownItem]:
    """The ids that are among the predictions, with their levels."""
    by_id = {p.id: p for p in predictions}
    return [
        (name, AMBIGUITY_LEVELS[int(ambiguity_level(_target(by_id[name])))]) for name in ids if name in by_id
    ]


def median_items(lines: Sequence[Sequence[Prediction]]) -> list[ShownItem]:
    """The item of median entropy of each level: high, medium, low; the first one on a tie.

    The rule looks at the votes alone, so that no model influences what is shown of it. A level without items has none.
    """
    votes = torch.stack([_target(p) for p in lines[0]])
    levels, entropies = ambiguity_level(votes), normalised_entropy(votes)
    items = []
    for position in reversed(range(len(AMBIGUITY_LEVELS))):
        members = (levels == position).nonzero()[:, 0]
        if len(members):
            distance = (entropies[members] - entropies[members].median()).abs()
            item = lines[0][int(members[int(distance.argmin())])]
            items.append((item.id, AMBIGUITY_LEVELS[position]))
    return items


def check_known(ids: Sequence[str], groups: Sequence[Sequence[Prediction]]) -> None:
    """Refuse ids that are not in the report.

    Raises:
        InputError: No corpus of the report has an id.
    """
    all_ids = {p.id for predictions in groups for p in predictions}
    for name in ids:
        if name not in all_ids:
            raise InputError(f"no item {name!r} among the predictions of these runs.", where="--item")


def distance(prediction: Prediction) -> float:
    """JS distance between an item's target and prediction, in [0, 1]."""
    label_dist, predicted = (
        torch.tensor(row, dtype=torch.float64) for row in (prediction.label_dist, prediction.predicted_dist)
    )
    return float(js_distance(label_dist, predicted))


def _target(prediction: Prediction) -> torch.Tensor:
    votes = torch.tensor(prediction.votes, dtype=torch.float64)
    return votes / votes.sum()
