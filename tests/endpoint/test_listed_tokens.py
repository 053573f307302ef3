"""Class scores from listed tokens: numbers worked out by hand, and what is refused."""

import math
from typing import Any

import pytest
from endpoint_stub import next_token, pieces

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.endpoint.listed import Faulty, answer_start, class_scores

CLASSES = CategorySet(("anger", "disgust", "happiness"))
CLOSE = CategorySet(("sad", "sadness", "joy"))


def test_spellings_of_a_class_are_added_and_others_left_out() -> None:
    listed = class_scores(
        [next_token(" anger", {" anger": 0.5, "Ang": 0.1, " DISG": 0.2, " hap": 0.19, "x": 0.01})], CLASSES
    )
    mass = 0.6 + 0.2 + 0.19
    assert listed.class_mass == pytest.approx(mass)
    assert listed.dist == pytest.approx((0.6 / mass, 0.2 / mass, 0.19 / mass))
    assert listed.missing == ()
    assert listed.distance == pytest.approx(0.01 / mass), "the least listed token bounds what is not listed"


def test_a_class_that_is_not_listed_has_what_is_not_listed_and_a_bound_on_the_error() -> None:
    listed = class_scores([next_token("anger", {"anger": 0.8995, "disgust": 0.1})], CLASSES)
    # 0.0005 are not listed, but the least listed token has 0.1: one that is not listed may have as much
    assert listed.missing == (2,)
    assert listed.distance == pytest.approx(2 * 0.1 / 0.9995)
    assert listed.is_censored
    sharp = class_scores([next_token("anger", {"anger": 0.8995, "disgust": 0.1, "x": 0.0001})], CLASSES)
    unlisted = 1 - 0.8995 - 0.1 - 0.0001
    assert not sharp.is_censored
    assert sharp.dist[2] == pytest.approx(unlisted / (0.9995 + unlisted))
    assert sum(sharp.dist) == pytest.approx(1)


def test_no_class_at_all_is_censored_and_never_zero() -> None:
    listed = class_scores([next_token("x", {"x": 0.9, "y": 0.05})], CLASSES)
    assert listed.is_censored
    assert math.isinf(listed.distance)
    assert listed.dist == pytest.approx((1 / 3,) * 3)


def test_a_blank_that_was_written_is_followed_to_the_name() -> None:
    first = next_token(" ", {" ": 0.8, "anger": 0.1999})
    second = next_token("disgust", {"disgust": 0.75, "happiness": 0.2499})
    listed = class_scores([first, second], CLASSES)
    weights = (0.1999, 0.8 * 0.75, 0.8 * 0.2499)
    assert listed.dist == pytest.approx([w / sum(weights) for w in weights], abs=1e-9)


def test_a_name_that_begins_another_is_told_apart_by_what_comes_after_it() -> None:
    first = next_token("sad", {"sad": 0.7, "joy": 0.2999})
    second = next_token("</", {"</": 0.6, "ness": 0.3999})
    weights = (0.7 * 0.6, 0.7 * 0.3999, 0.2999)
    listed = class_scores([first, second], CLOSE)
    assert listed.dist == pytest.approx([w / sum(weights) for w in weights], abs=1e-9)
    alone = class_scores([first], CLOSE)
    assert alone.is_censored, "nothing says which of the two was meant"


def test_a_token_that_fits_two_classes_and_was_not_written_bounds_the_error() -> None:
    listed = class_scores([next_token("joy", {"joy": 0.9, "sa": 0.06, "sadness": 0.0399, "x": 1e-5})], CLOSE)
    assert listed.is_censored
    assert listed.distance > 0.06


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ({"token": "a", "logprob": 0.0, "top_logprobs": []}, "no alternatives"),
        (
            {
                "token": "a",
                "logprob": 0.0,
                "top_logprobs": [{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": -9999.0}],
            },
            "after its choice",
        ),
        (
            {"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "a", "logprob": 0.7}]},
            "no log-probability",
        ),
        (
            {"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "a", "logprob": None}]},
            "no log-probability",
        ),
        (
            {
                "token": "a",
                "logprob": -0.1,
                "top_logprobs": [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.1}],
            },
            "sum to 1.81",
        ),
    ],
)
def test_numbers_that_are_no_log_probabilities_are_refused(position: dict[str, Any], message: str) -> None:
    with pytest.raises(Faulty, match=message):
        class_scores([position], CLASSES)


@pytest.mark.parametrize(
    ("text", "start"),
    [("<answer> joy</answer>", 3), ("well <answer>joy", 4), ("<answer>", None), ("no tag", None)],
)
def test_the_answer_starts_after_the_tag(text: str, start: int | None) -> None:
    assert answer_start([{"token": piece} for piece in pieces(text)], "<answer>") == start


def test_a_tag_inside_a_token_is_no_start() -> None:
    assert answer_start([{"token": "<ans"}, {"token": "wer>jo"}, {"token": "y"}], "<answer>") is None
