"""Two steps of each method with every family that hears, on the demo's sound."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matrix.test_two_steps import METHODS, built, two_steps
from matrix.test_two_steps import pytestmark as quiet
from small_families import WRITERS, write_family

from lalm_ambig.corpora.base import Corpus
from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.weights.lora import Adapter

pytestmark = [*quiet, pytest.mark.slow]
FAMILIES = [name for name in WRITERS if name not in ("voxtral_tekken", "qwen3_omni_moe_thinker")]
"""One layout of each, and Granite with and without LoRA of its own."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {name: write_family(root / name, name) for name in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["sft", *(name for name in METHODS if name != "grpoz")])
def test_every_method_learns_from_sound(
    name: str,
    family: str,
    folders: dict[str, Path],
    open_small: Callable[[str], Corpus],
    tmp_path: Path,
) -> None:
    tower = name == "sft"  # whose features are then not cached
    policy = AudioLM(str(folders[family]), adapter=Adapter(rank=4, audio_tower=tower))
    logged = two_steps(
        built(name, policy, readout="logits", reasoning=name != "sft"), open_small("demo"), tmp_path
    )
    assert 0 < logged["train/loss"] < 50 or (name == "grpo" and abs(logged["train/loss"]) < 50)
