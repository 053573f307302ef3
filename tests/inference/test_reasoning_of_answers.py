"""The thoughts in a response: without tags, however an untrained model places them."""

from pathlib import Path

import pytest
import torch

from lalm_ambig.config.files import config_folder
from lalm_ambig.core.types import Reading
from lalm_ambig.inference.model import Asking, Model, open_model
from lalm_ambig.inference.parts import Part
from lalm_ambig.runs.loading import PolicyChoice


@pytest.fixture(scope="module")
def thinking(cache_home: Path) -> Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        choice = PolicyChoice(policy=config_folder() / "policy/tiny.yaml", reasoning=True, max_new_tokens=8)
        return open_model(choice, Asking(), device="cpu")


@pytest.mark.parametrize(
    ("response", "reasoning"),
    [
        ("<think>It is low.</think><answer>", "It is low."),
        ("It is low.</think><answer>", "It is low."),
        ("It is low. </think>\n", "It is low."),
        ("It is low.</think>So it is sad.<answer>", "It is low."),
        ("</think>It is low.<answer>", "It is low."),
        ("It is low.", "It is low."),
        ("</think><answer>", ""),
        ("<think>It is low.", "It is low."),
    ],
)
def test_thoughts_have_no_tags(thinking: Model, response: str, reasoning: str) -> None:
    shares = torch.full((1, len(thinking.classes)), 1 / len(thinking.classes))
    reading = Reading(shares, None, (response,), (False,))
    [answer] = thinking.encoder.answers([Part(None)], reading)
    assert answer.reasoning == reasoning
    assert answer.response == response
