"""The option `--estimate` and its assumptions."""

import pytest

from lalm_ambig.config.estimate_option import Assumptions, taken_out
from lalm_ambig.core.errors import InputError


def test_other_arguments_stay_and_without_the_option_there_is_no_estimate() -> None:
    assert taken_out(["--config", "x.yaml"]) == (["--config", "x.yaml"], None)
    assert taken_out(["--a=1", "--estimate", "--b", "2"]) == (["--a=1", "--b", "2"], Assumptions())


def test_assumptions_are_taken_in_either_spelling() -> None:
    words = ["--estimate.clip_s", "3", "--estimate.cards=48,80", "--estimate.prompt_tokens=200", "x"]
    assert taken_out(words) == (["x"], Assumptions(prompt_tokens=200.0, clip_s=3.0, cards=(48.0, 80.0)))
    assert taken_out(["--estimate.curated_tokens", "9"])[1] == Assumptions(curated_tokens=9.0)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--estimate.clip_s=0", r"--estimate.clip_s: expected a positive number, got '0'"),
        ("--estimate.clip_s=nan", "expected a positive number, got 'nan'"),
        ("--estimate.cards=24,big", "--estimate.cards: expected a positive number, got 'big'"),
        ("--estimate.prompt_tokens", "expected a positive number, got ''"),
        ("--estimate.size=3", "unknown assumption 'size': expected prompt_tokens"),
    ],
)
def test_a_wrong_assumption_is_one_line(word: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        taken_out([word])
