"""Category sets: order, keys that corpora share, verbalisers, and refused names."""

import pytest
import torch

from lalm_ambig.core.categories import CategorySet, canonical_key, normal_form, quoted, refuse_synonyms
from lalm_ambig.core.errors import InputError
from lalm_ambig.readouts.logits import predicted_dist

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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("col\u00e8re", "cole\u0300re"),  # composed, and decomposed as macOS writes it
        ("\u00c9t\u00e9", "e\u0301te\u0301"),  # and in another case
        ("STRASSE", "stra\u00dfe"),
        ("mildly  annoyed", "Mildly\u00a0annoyed "),
        ("anger", "\ufeffanger"),
        ("\uac00", "\u1100\u1161"),  # a Korean syllable and its letters
        ("\u01f0", "j\u030c"),  # which folding takes apart
        ("\u1f80", "\u1f88"),
    ],
)
def test_two_forms_of_a_name_are_one(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)
    with pytest.raises(InputError, match="stands twice"):
        CategorySet((one, other))
    with pytest.raises(InputError, match=r"prompt name .* stands twice"):
        CategorySet(("a", "b"), prompt_names=(one, other))
    assert CategorySet(("else", one)).index(other) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("level 2", "level \u00b2"), ("colere", "col\u00e8re"), ("\u2764\u200d\U0001f525", "\u2764\U0001f525")],
)
def test_names_that_people_tell_apart_stay_two(one: str, other: str) -> None:
    assert CategorySet((one, other)).names == (one, other)


def test_a_message_shows_names_apart_that_look_the_same() -> None:
    assert quoted("col\u00e8re", "cole\u0300re") == r"'col\xe8re' and 'cole\u0300re'"
    assert quoted("anger", "Anger") == "'anger' and 'Anger'"
    with pytest.raises(InputError, match="class 'happiness' stands twice: 'joy' and 'happy'"):
        refuse_synonyms(("joy", "happy"))


def test_classes_of_two_corpora_meet_in_any_form() -> None:
    trained = CategorySet(("Col\u00e8re", "Joy"), (" rage", " glee"))
    spoken = CategorySet(("happiness", "cole\u0300re")).with_words_of(trained)
    assert spoken.verbalisers == (" glee", " rage")
    assert spoken.names == ("happiness", "cole\u0300re")
    assert spoken.unseen_in(trained) == ()


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


def test_a_verbaliser_used_twice_is_refused() -> None:
    with pytest.raises(InputError, match="verbaliser ' sad' stands twice"):
        CategorySet(("sadness", "fear"), (" sad", " sad"))


def test_as_many_verbalisers_as_classes_are_needed() -> None:
    with pytest.raises(InputError, match="2 classes but 1 verbalisers"):
        CategorySet(("sadness", "fear"), (" sad",))


def test_as_many_words_for_the_prompt_as_classes_are_needed() -> None:
    with pytest.raises(InputError, match="2 classes but 1 prompt names"):
        CategorySet(("sadness", "fear"), prompt_names=("sad",))


def test_classes_are_asked_for_in_the_words_of_the_trained_corpus_and_keep_their_own_names() -> None:
    trained = CategorySet(("happy", "angry", "sad"), (" glad", " mad", " low"))
    target = CategorySet(("sadness", "contempt", "joy"), (" sadness", " scorn", " joy"))
    spoken = target.with_words_of(trained)
    assert spoken.names == ("sadness", "contempt", "joy")
    assert spoken.verbalisers == (" low", " scorn", " glad")
    assert spoken.prompt_names == ("sad", "contempt", "happy")
    assert target.unseen_in(trained) == ("contempt",)
    assert trained.unseen_in(target) == ("angry",)


def test_a_corpus_in_its_own_words_is_itself() -> None:
    assert SIX.with_words_of(SIX) == SIX
    assert SIX.unseen_in(SIX) == ()


def test_corpora_without_a_common_class_keep_their_words() -> None:
    relations = CategorySet(("entailment", "contradiction"))
    assert relations.with_words_of(SIX) == relations
    assert relations.unseen_in(SIX) == relations.names


def test_an_unseen_class_with_the_word_of_a_trained_one_is_refused() -> None:
    trained = CategorySet(("happiness", "anger"), (" good", " bad"))
    with pytest.raises(InputError, match="verbaliser ' good' stands twice"):
        CategorySet(("joy", "calm"), (" joy", " good")).with_words_of(trained)


def test_a_softmax_over_the_classes_asked_for_is_the_trained_one_restricted_and_renormalised() -> None:
    scores = torch.randn(50, len(SIX), generator=torch.Generator().manual_seed(0)) * 4
    asked = [SIX.index(name) for name in ("sadness", "joy", "anger")]
    all_classes = predicted_dist(scores)[:, asked]
    restricted = all_classes / all_classes.sum(-1, keepdim=True)
    torch.testing.assert_close(predicted_dist(scores[:, asked]), restricted)
    assert not torch.allclose(all_classes, restricted, atol=0.05)
