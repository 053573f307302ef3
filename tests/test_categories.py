"""Category sets: order, keys that corpora share, verbalisers, and what is refused."""

import pytest

from lalm_ambig.categories import CategorySet, canonical_key
from lalm_ambig.errors import InputError

SIX = CategorySet(("anger", "disgust", "fear", "happiness", "neutral", "sadness"))


def test_the_default_verbaliser_is_a_space_and_the_name() -> None:
    assert SIX.verbalisers[3] == " happiness"
    assert len(SIX) == 6


def test_verbalisers_may_differ_from_the_names() -> None:
    assert CategorySet(("anger", "joy"), ("angry", "happy")).verbalisers == ("angry", "happy")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("joy", "happiness"),
        (" Happy ", "happiness"),
        ("ANGRY", "anger"),
        ("surprised", "surprise"),
        ("odd", "odd"),
    ],
)
def test_names_of_one_class_share_a_key(name: str, key: str) -> None:
    assert canonical_key(name) == key


def test_a_class_is_found_by_name_or_key_in_any_case() -> None:
    ekman = CategorySet(("anger", "joy", "neutral"))
    assert ekman.keys == ("anger", "happiness", "neutral")
    assert [ekman.index(name) for name in ("Joy", "happiness", "happy", "NEUTRAL")] == [1, 1, 1, 2]


def test_an_unknown_class_is_named_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="unknown class 'contempt': expected one of anger, disgust"):
        SIX.index("contempt")


def test_one_class_is_not_enough() -> None:
    with pytest.raises(InputError, match=r"at least 2 classes, got \['anger'\]"):
        CategorySet(("anger",))


def test_a_class_under_two_names_is_refused() -> None:
    with pytest.raises(InputError, match="class 'happiness' stands twice"):
        CategorySet(("joy", "happy"))


def test_a_verbaliser_used_twice_is_refused() -> None:
    with pytest.raises(InputError, match="verbaliser ' sad' stands twice"):
        CategorySet(("sadness", "fear"), (" sad", " sad"))


def test_as_many_verbalisers_as_classes_are_needed() -> None:
    with pytest.raises(InputError, match="2 classes but 1 verbalisers"):
        CategorySet(("sadness", "fear"), (" sad",))
