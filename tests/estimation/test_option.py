"""The option `--estimate` and its assumptions."""

import pytest

from lalm_ambig.config.cli import parse
from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.core.errors import InputError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["--estimate"], Assumptions()),
        (["--estimate", "--data.batch_size=3"], Assumptions()),
        (["--estimate.clip_s", "3", "--estimate.cards=48,80"], Assumptions(clip_s=3.0, cards=(48.0, 80.0))),
        (["--estimate", "--estimate.curated_tokens", "9"], Assumptions(curated_tokens=9.0)),
    ],
)
def test_what_is_assumed_is_said_in_options_of_the_parser(
    words: list[str], expected: Assumptions | None
) -> None:
    assert parse(words).assumptions == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--estimate.clip_s=0", r"--estimate.clip_s: expected a positive number, got '0.0'"),
        ("--estimate.clip_s=nan", "estimate.clip_s: expected a number, got nan"),
        ("--estimate.cards=24,big", "--estimate.cards: expected a positive number, got 'big'"),
        ("--estimate.promt_tokens=3", "did you mean --estimate.prompt_tokens"),
        ("--estimate.clip_s", "estimate.clip_s: expected a number"),
    ],
)
def test_a_wrong_assumption_is_one_line(word: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        _ = parse([word]).assumptions
    assert "\n" not in str(raised.value)
