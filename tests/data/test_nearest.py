"""The most similar training items of an annotator: similarity, ties, and what is never among them."""

import math

import pytest

from lalm_ambig.data.nearest import Asked, _Vectors, nearest

TRAIN = [
    Asked("ann", "a", "a dog chased the cat"),
    Asked("ann", "b", "a cat slept on the mat"),
    Asked("ann", "c", "rain fell on the town"),
    Asked("bob", "a", "a dog chased the cat"),
]


def found(asked: Asked, *, count: int = 9, seed: int = 0) -> list[str]:
    [places] = nearest([asked], TRAIN, count=count, seed=seed)
    assert all(TRAIN[place].annotator == asked.annotator for place in places)
    return [TRAIN[place].judged for place in places]


def test_texts_that_share_rare_words_come_first() -> None:
    assert found(Asked("ann", "x", "the dog barked"), count=1) == ["a"]
    assert found(Asked("ann", "x", "The RAIN, the rain!"), count=1) == ["c"]
    assert found(Asked("ann", "x", "a mat"))[0] == "b"


def test_similarity_is_the_cosine_of_word_counts_weighted_by_inverse_document_frequency() -> None:
    vectors = _Vectors(["dog cat", "cat mat", "rain"])
    one, other = vectors(["cat cat dog", "cat mat"]).toarray()
    rare, common = math.log(3), math.log(3 / 2)
    by_hand = (2 * common * common) / (math.hypot(2 * common, rare) * math.hypot(common, rare))
    assert float(one @ other) == pytest.approx(by_hand, abs=1e-12)
    assert not vectors(["bird"]).toarray().any()  # no training item has the word


def test_an_annotator_has_no_ratings_of_others_and_one_without_any_has_none() -> None:
    assert found(Asked("bob", "x", "a cat on the mat")) == ["a"]
    assert found(Asked("eve", "x", "a cat on the mat")) == []


def test_the_item_itself_and_one_with_the_same_words_are_never_among_them() -> None:
    assert "a" not in found(Asked("ann", "a", "something else"))
    assert "a" not in found(Asked("ann", "x", "A dog - chased the CAT!"))
    assert found(Asked("bob", "a", "a dog chased the cat")) == []


def test_equal_similarities_are_in_a_seeded_order_that_nothing_else_changes() -> None:
    orders = {tuple(found(Asked("ann", "x", "nothing shared here"), seed=seed)) for seed in range(20)}
    assert len(orders) > 1
    assert {tuple(sorted(order)) for order in orders} == {("a", "b", "c")}
    asked = [Asked("ann", "x", "nothing shared here"), Asked("ann", "y", "")]
    forward = nearest(asked, TRAIN, count=3, seed=4)
    backward = nearest(asked[::-1], TRAIN[::-1], count=3, seed=4)[::-1]
    named = [[TRAIN[place].judged for place in places] for places in forward]
    assert named == [[TRAIN[::-1][place].judged for place in places] for places in backward]


def test_there_are_as_many_as_asked_for_or_as_there_are() -> None:
    assert [len(found(Asked("ann", "x", "a cat"), count=count)) for count in (0, 1, 2, 9)] == [0, 1, 2, 3]
