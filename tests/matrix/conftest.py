"""Small corpora in their real layouts and small checkpoints of the real classes, brought together."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_checkpoints import write_causal_lm, write_omni

from lalm_ambig.corpora.base import Corpus, open_corpus
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter


@pytest.fixture
def open_small(tmp_path: Path, demo_root: Path) -> Callable[[str], Corpus]:
    """Opens a small corpus of that name."""

    def open_one(name: str) -> Corpus:
        if name in ("demo", "crema_d"):  # the demo is in CREMA-D's layout
            return open_corpus(name, demo_root)
        layout: Any = importlib.import_module(f"layouts.{name}")
        return open_corpus(name, layout.write(tmp_path / name), **getattr(layout, "OPTIONS", {}))

    return open_one


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    write_omni(folder / "omni")
    write_causal_lm(folder / "text", "qwen3", head_dim=16)
    return folder


@pytest.fixture
def make_small(checkpoints: Path) -> Callable[[str], Policy]:
    """A policy of that kind, not loaded yet."""
    adapter = Adapter(rank=4)
    kinds: dict[str, Callable[[], Policy]] = {
        "tiny": lambda: Tiny(adapter=adapter),
        "qwen2_5_omni": lambda: Qwen2_5Omni(str(checkpoints / "omni"), adapter=adapter),
        "tiny beside": lambda: Tiny(adapter=adapter, audio_layers=[0, 1]),
        "omni beside": lambda: Qwen2_5Omni(str(checkpoints / "omni"), adapter=adapter, audio_layers=[1]),
        "causal_lm": lambda: CausalLM(str(checkpoints / "text"), adapter=adapter),
        "text full": lambda: CausalLM(str(checkpoints / "text"), adapter=Adapter(method="full")),
        "text nf4": lambda: CausalLM(str(checkpoints / "text"), adapter=adapter, quantize="nf4"),
        "omni int8": lambda: Qwen2_5Omni(str(checkpoints / "omni"), adapter=adapter, quantize="int8"),
    }
    return lambda kind: kinds[kind]()
