"""An annotator's rating of the training item with the most similar text, copied (`data.nearest` says how similar)."""

from collections import defaultdict
from collections.abc import Sequence

from lalm_ambig.baselines.annotators import check_pairs, unseen_note
from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult, predict_one
from lalm_ambig.baselines.prior import mean_label_dist
from lalm_ambig.core.types import Item
from lalm_ambig.data.annotators import first_of_each
from lalm_ambig.data.nearest import asked_of, nearest

ANYBODY = "anybody"
"""One name for all annotators, where whoever rated an item does not matter."""


class NearestRating(Baseline):
    """The rating of the nearest text by the same annotator; the mean rating of the nearest text for one without any."""

    fitted_on = ("train",)

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        check_pairs(inputs.items, "nearest_rating")
        mean_label_dist(inputs.train)  # refuses what is no training item
        items, train = list(inputs.items), list(inputs.train)
        near = nearest(list(map(asked_of, items)), list(map(asked_of, train)), count=1, seed=inputs.seed)
        alone = [item for item, places in zip(items, near, strict=True) if not places]
        instead = dict(zip((item.id for item in alone), _of_anybody(alone, train, inputs.seed), strict=True))
        predictions = [
            predict_one(item, train[places[0]].label_dist if places else instead[item.id])
            for item, places in zip(items, near, strict=True)
        ]
        known = {str(item.annotator) for item in items} - {str(item.annotator) for item in alone}
        notes = unseen_note(items, known, "answered by the mean rating of the nearest training item")
        return BaselineResult(
            predictions, "the same annotator's rating of the most similar training text", notes
        )


def _of_anybody(items: Sequence[Item], train: Sequence[Item], seed: int) -> list[tuple[float, ...]]:
    """The mean rating of the nearest training item; of all ratings, where there is no other item."""
    ratings = defaultdict[str, list[Item]](list)
    for item in train:
        ratings[item.judged].append(item)
    firsts = first_of_each(train)
    asked, others = ([asked_of(item, ANYBODY) for item in group] for group in (items, firsts))
    near = nearest(asked, others, count=1, seed=seed)
    return [mean_label_dist(ratings[firsts[places[0]].judged] if places else train) for places in near]
