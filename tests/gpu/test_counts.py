"""How much a decode step and a training step ask of a device: exact counts, kept in counts.json.

They are no timings, so they are the same on every machine. Fewer launches and fewer waits are faster on a GPU. After a
change that is meant, `UPDATE_COUNTS=1 python -m pytest -m long tests/gpu/test_counts.py` writes the file anew; its
difference belongs to the commit.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from combinations import LAYERS
from test_pretend_gpu import METHODS, Pretend, pytestmark  # noqa: F401  # its marks are these tests', too

FILE = Path(__file__).parent / "counts.json"
CASES = {
    "decode step, text": ("text", "grpo", "decode"),
    "decode step, audio": ("omni", "grpo", "decode"),
    "KL-only, text": ("text", "kl_only", "train"),
    "SFT, audio": ("omni", "sft", "train"),
    "DPO, audio": ("omni", "dpo", "train"),
    "GRPO, text": ("text", "grpo", "train"),
    "GRPO, audio": ("omni", "grpo", "train"),
}


@pytest.fixture(scope="module")
def pretend(tmp_path_factory: pytest.TempPathFactory, cache_home: Path, demo_root: Path) -> Iterator[Pretend]:
    server = Pretend(tmp_path_factory.mktemp("counts"), cache_home, demo_root)
    yield server
    server.close()


@pytest.mark.parametrize("case", CASES)
def test_a_step_asks_no_more_of_the_device_than_is_written_down(pretend: Pretend, case: str) -> None:
    policy, method, phase = CASES[case]
    found = pretend.count(policy, method, phase)
    kept: dict[str, Any] = json.loads(FILE.read_text()) if FILE.is_file() else {}
    if os.environ.get("UPDATE_COUNTS"):
        FILE.write_text(json.dumps({**kept, case: found}, indent=1, sort_keys=True) + "\n")
        return
    assert found == kept[case], f"{case}: UPDATE_COUNTS=1 writes the new counts down, if they are meant"


HALF = ["--policy.dtype=bfloat16", "--trainer.precision=bf16-mixed"]
LAYER = {"apart": 80, "merged": 60}
"""Most launches of a layer in a decode step, with the adapter apart and merged into the weights."""


@pytest.mark.parametrize("adapter", LAYER)
def test_a_layer_of_a_decode_step_has_few_launches_and_a_step_waits_once(
    pretend: Pretend, adapter: str
) -> None:
    settings = [*HALF, f"--model.sampling.merge_adapter={str(adapter == 'merged').lower()}"]
    fewer, more = (
        pretend.count(f"text of {layers} layers", "grpo", "decode", settings=settings) for layers in LAYERS
    )
    assert (more["launches"] - fewer["launches"]) / (LAYERS[1] - LAYERS[0]) <= LAYER[adapter]
    assert more["to_host"] <= 1
    assert more["to_device"] == 0
