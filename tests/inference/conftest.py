"""A run to load, and the hub's cache of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from run_folders import write_run

from lalm_ambig.inference.model import Model, load


@pytest.fixture(scope="session")
def run(
    demo_root: Path, cache_home: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A finished run of the tiny model that answers at once."""
    assert tiny_folder.is_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        yield write_run(tmp_path_factory.mktemp("runs") / "lora", demo_root, finished=True)


@pytest.fixture(scope="session")
def model(run: Path) -> Model:
    """The run, loaded."""
    return load(run, device="cpu")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"
