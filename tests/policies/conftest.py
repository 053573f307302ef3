"""Every policy class with a small checkpoint of its own: classes are found by themselves."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from small_checkpoints import HEARING, SIDE_PATH, MakeAny, policy_classes, write_causal_lm, write_omni
from small_families import write_family

from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter

SMALL: dict[str, Callable[..., Policy]] = {
    "Tiny": lambda _, **settings: Tiny(**settings),
    "Qwen2Audio": lambda folder, **settings: Qwen2Audio(str(folder / "tiny"), **settings),
    "Qwen2_5Omni": lambda folder, **settings: Qwen2_5Omni(str(folder / "omni"), **settings),
    "AudioLM": lambda folder, **settings: AudioLM(str(folder / "flamingo"), **settings),
    "CausalLM": lambda folder, **settings: CausalLM(str(folder / "text"), **settings),
}


@pytest.fixture(scope="session")
def small_folders(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A folder of checkpoints: tiny, omni and text."""
    folder = tmp_path_factory.mktemp("checkpoints")
    (folder / "tiny").symlink_to(tiny_folder)
    write_omni(folder / "omni")
    write_family(folder / "flamingo", "audioflamingo3")
    torch.manual_seed(0)
    write_causal_lm(folder / "text", "qwen3", head_dim=16)
    return folder


@pytest.fixture(scope="session")
def make_named(small_folders: Path, cache_home: Path) -> MakeAny:
    """Loads a policy of the class of that name."""

    def make(name: str, **adapter: object) -> Policy:
        name, with_side_path, _ = name.partition(SIDE_PATH)
        assert name in SMALL, "give this policy a small checkpoint in SMALL"
        settings = {"audio_layers": [0, 1]} if with_side_path else {}
        torch.manual_seed(0)
        made = SMALL[name](small_folders, adapter=Adapter(**adapter), **settings)  # type: ignore[arg-type]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache_home))
            made.load()
        made.eval()
        return made

    return make


@pytest.fixture(params=[cls.__name__ for cls in policy_classes()])
def make_any(request: pytest.FixtureRequest, make_named: MakeAny) -> MakeAny:
    return partial(make_named, request.param)


@pytest.fixture
def policy(make_any: MakeAny) -> Policy:
    """A policy of each class with a fresh adapter."""
    return make_any()


@pytest.fixture(params=[name + path for name in HEARING for path in ("", SIDE_PATH)])
def make_ears(request: pytest.FixtureRequest, make_named: MakeAny) -> MakeAny:
    return partial(make_named, request.param)


@pytest.fixture
def ears(make_ears: MakeAny) -> Policy:
    """A policy of each class that hears, with a fresh adapter."""
    return make_ears()
