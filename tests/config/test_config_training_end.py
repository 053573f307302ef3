"""A training without a last step is refused before anything is loaded."""

from typing import Any

import pytest

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError


def ends(*words: str) -> Any:
    return parse(["--preset=demo", *words]).config_init["trainer"]


@pytest.mark.parametrize(
    "words",
    [
        ["--trainer.max_epochs=-1"],
        ["--trainer.max_epochs=-1", "--trainer.max_time=00:00:05:00"],
        ["--trainer.max_epochs=null", "--trainer.max_time=00:00:05:00"],
    ],
)
def test_a_training_without_a_last_step_is_refused_with_a_remedy_that_works(words: list[str]) -> None:
    with pytest.raises(InputError, match=r"trainer: training has no last step.* Give trainer\.max_epochs or"):
        ends(*words)
    assert ends(*words, "--trainer.max_steps=7")["max_steps"] == 7


@pytest.mark.parametrize("words", [[], ["--trainer.max_epochs=null"], ["--trainer.max_time=00:00:05:00"]])
def test_one_with_epochs_or_lightnings_own_thousand_has_an_end(words: list[str]) -> None:
    assert ends(*words)["max_steps"] == -1
