"""The distribution read at the answer's place, and the tokens that it is read from."""

import math

import pytest
import torch

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.readouts.logits import answer_tokens, class_mass, predicted_dist


def letters(text: str) -> list[int]:
    """A tokenizer with one token a character."""
    return [ord(character) for character in text]


def test_names_of_the_tiny_model_are_one_token_each_behind_the_tag(tiny: Tiny) -> None:
    answer = answer_tokens(tiny.text_ids, CATEGORIES)
    assert tiny.tokenizer.decode(list(answer.open_ids)) == "<answer>"
    assert [tiny.tokenizer.decode([token]) for token in answer.first_ids] == list(CATEGORIES.verbalisers)
    assert all(len(ids) == 1 for ids in answer.name_ids)


def test_a_name_of_several_tokens_is_scored_by_its_first() -> None:
    answer = answer_tokens(letters, CategorySet(("ab", "cd"), ("ab", "cd")))
    assert answer.name_ids == ((97, 98), (99, 100))
    assert answer.first_ids == (97, 99)


def test_a_collision_names_both_classes_and_their_tokens() -> None:
    with pytest.raises(InputError) as raised:
        answer_tokens(letters, CategorySet(("bad", "cold", "cool")))
    message = str(raised.value)
    assert "' bad' (tokens [32, 98, 97, 100]) and ' cold' (tokens [32, 99, 111, 108, 100])" in message
    assert "begin with the same token" in message
    assert "choose verbalisers that differ in their first token" in message
    assert "\n" not in message


def test_a_collision_of_any_two_is_found_and_no_other_class_is_blamed() -> None:
    with pytest.raises(InputError, match=r"'cold' .* and 'cool' "):
        answer_tokens(letters, CategorySet(("x", "cold", "cool"), ("x", "cold", "cool")))


def test_a_verbaliser_merged_with_the_tag_is_refused() -> None:
    def merging(text: str) -> list[int]:
        return letters(text.replace("> j", "\x01"))

    with pytest.raises(InputError, match=r"the tokenizer joins '<answer>' and ' joy' \(joy\) into"):
        answer_tokens(merging, CategorySet(("fear", "joy")))


def test_an_empty_verbaliser_is_refused() -> None:
    with pytest.raises(InputError, match=r"joins '<answer>' and '' \(joy\)"):
        answer_tokens(letters, CategorySet(("fear", "joy"), (" fear", "")))


def test_softmax_by_hand_and_in_float32() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [1000.0, 1000.0]])
    torch.testing.assert_close(predicted_dist(logits), torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    assert predicted_dist(logits.bfloat16()).dtype == torch.float32


def test_class_mass_by_hand() -> None:
    everything = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])) + 7.0
    mass = class_mass(everything[:, [0, 2]], everything)
    torch.testing.assert_close(mass, torch.tensor([0.4, 0.5]))


def test_class_mass_is_never_above_one() -> None:
    everything = torch.tensor([[20.0, 1.0, -30.0]])
    mass = class_mass(everything[:, :2] + 1e-3, everything)
    assert mass.item() == 1.0
