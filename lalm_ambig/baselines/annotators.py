"""What baselines of single annotators share: the training ratings of each annotator, and what stands in for none."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from lalm_ambig.baselines.base import BaselineInputs, predict_one
from lalm_ambig.baselines.prior import mean_label_dist
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction

Dist = tuple[float, ...]


def check_pairs(items: Sequence[Item], name: str) -> None:
    """Check that items are pairs of item and annotator.

    Args:
        items: What is to be answered.
        name: The baseline.

    Raises:
        InputError: They are not.
    """
    if any(item.annotator is None for item in items):
        raise InputError("it answers for single annotators.", where=name, remedy="Add --annotators each.")


def check_together(items: Sequence[Item], name: str) -> None:
    """Check that items are no pairs of item and annotator.

    Args:
        items: What is to be answered.
        name: The baseline.

    Raises:
        InputError: They are.
    """
    if any(item.annotator is not None for item in items):
        wrong = "it draws groups of annotators, and each item is one annotator's own choice."
        raise InputError(wrong, where=name, remedy="Leave --annotators each out.")


def from_training(
    inputs: BaselineInputs, name: str, answer: Callable[[Sequence[Item]], Dist]
) -> tuple[list[Prediction], tuple[str, ...]]:
    """Answer each pair from its annotator's training ratings, or from all where the annotator has none.

    Args:
        inputs: Pairs.
        name: The baseline.
        answer: The answer of ratings.

    Returns:
        The predictions, and a note on annotators without training ratings.

    Raises:
        InputError: The items are no pairs, or there is no training item.
    """
    check_pairs(inputs.items, name)
    mean_label_dist(inputs.train)  # refuses what is no training item
    ratings = defaultdict[str, list[Item]](list)
    for item in inputs.train:
        ratings[str(item.annotator)].append(item)
    answers = {annotator: answer(own) for annotator, own in ratings.items()}
    every = answer(inputs.train)
    predictions = [predict_one(item, answers.get(str(item.annotator), every)) for item in inputs.items]
    return predictions, unseen_note(inputs.items, ratings.keys(), "answered by the ratings of all")


def unseen_note(items: Sequence[Item], known: Collection[str], instead: str) -> tuple[str, ...]:
    """A note on annotators that have no training rating; none where all have.

    Args:
        items: Pairs that are answered.
        known: The annotators that have.
        instead: What stands in for their ratings.
    """
    unseen = [str(item.annotator) for item in items if str(item.annotator) not in known]
    if not unseen:
        return ()
    persons = len(set(unseen))
    whose = f"{persons} annotator{'s' if persons > 1 else ''} without a training rating"
    return (f"{len(unseen)} of {len(items)} ratings are by {whose}, and {instead}",)
