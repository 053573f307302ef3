"""Baselines of single annotators: by hand, unseen annotators, and what is refused."""

import pytest
import torch

from lalm_ambig.baselines.annotator_most_frequent import AnnotatorMostFrequent
from lalm_ambig.baselines.annotator_prior import AnnotatorPrior
from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult
from lalm_ambig.baselines.nearest_rating import NearestRating
from lalm_ambig.baselines.oracle import Oracle
from lalm_ambig.baselines.panel import Panel
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, Split, pair_id

A, B, C = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def pair(
    item: str, annotator: str, votes: tuple[float, ...], text: str = "a text", split: Split = "train"
) -> Item:
    name = pair_id(item, annotator)
    return Item(id=name, votes=votes, text=text, split=split, annotator=annotator)


TRAIN = [
    pair("1", "ann", B, "the dog barked"),
    pair("2", "ann", C, "rain fell on the town"),
    pair("3", "ann", B, "a piano plays"),
    pair("1", "bob", A, "the dog barked"),
    pair("2", "bob", C, "rain fell on the town"),
]


def answered(baseline: Baseline, *items: Item, train: list[Item] | None = None) -> BaselineResult:
    known = TRAIN if train is None else train
    return baseline.answer(BaselineInputs(list(items), known, [], torch.ones(1, 3)))


def asked(annotator: str, text: str = "a text") -> Item:
    return pair("9", annotator, A, text, "test")


def test_the_most_frequent_class_is_each_annotator_s_own_and_a_tie_goes_to_the_first() -> None:
    found = answered(AnnotatorMostFrequent(), asked("ann"), asked("bob"))
    assert [row.predicted_dist for row in found.predictions] == [B, A]
    assert [row.annotator for row in found.predictions] == ["ann", "bob"]
    assert found.notes == ()


def test_the_prior_has_each_annotator_s_shares() -> None:
    found = answered(AnnotatorPrior(), asked("ann"), asked("bob"))
    assert found.predictions[0].predicted_dist == pytest.approx((0, 2 / 3, 1 / 3))
    assert found.predictions[1].predicted_dist == pytest.approx((0.5, 0, 0.5))


def test_the_nearest_rating_is_copied_from_the_same_annotator() -> None:
    found = answered(
        NearestRating(), asked("ann", "heavy rain"), asked("bob", "a dog"), asked("bob", "a piano")
    )
    assert [row.predicted_dist for row in found.predictions[:2]] == [C, A]
    assert found.predictions[2].predicted_dist in (A, C)  # bob knows no piano


def test_an_unseen_annotator_is_answered_by_all_and_counted() -> None:
    for baseline in (AnnotatorMostFrequent(), AnnotatorPrior(), NearestRating()):
        found = answered(baseline, asked("ann", "a dog"), asked("eve", "the dog"), asked("eve", "dog"))
        [note] = found.notes
        assert note.startswith("2 of 3 ratings are by 1 annotator without a training rating, and answered by")
    assert answered(AnnotatorMostFrequent(), asked("eve")).predictions[0].predicted_dist == B
    copied = answered(NearestRating(), asked("eve", "the dog")).predictions[0].predicted_dist
    assert copied == pytest.approx((0.5, 0.5, 0))  # the mean of ann's and bob's ratings of item 1


def test_items_of_all_annotators_and_other_splits_are_refused() -> None:
    plain = Item(id="9", votes=A, text="a text", split="test")
    for baseline in (AnnotatorMostFrequent(), AnnotatorPrior(), NearestRating()):
        with pytest.raises(InputError, match=r"it answers for single annotators\. Add --annotators each\."):
            answered(baseline, plain)
        with pytest.raises(InputError, match=r"item 9@eve is of split test, not train"):
            answered(baseline, asked("ann"), train=[*TRAIN, asked("eve")])
        with pytest.raises(InputError, match=r"there is no training item"):
            answered(baseline, asked("ann"), train=[])


def test_groups_of_annotators_are_not_drawn_for_one() -> None:
    for baseline, name in ((Panel(), "panel"), (Oracle(), "oracle")):
        with pytest.raises(
            InputError, match=rf"{name}: it draws groups of annotators, .* Leave --annotators each out"
        ):
            answered(baseline, asked("ann"))
