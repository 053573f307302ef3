"""Runs to export."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from run_folders import MakeRun, write_run


@pytest.fixture(scope="session")
def make_run(
    demo_root: Path, cache_home: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeRun]:
    """Makes run folders; while it lives, the base model is found in the tests' cache."""
    assert tiny_folder.is_dir()  # made before processes need it at once
    root = tmp_path_factory.mktemp("runs")

    def make(name: str, *options: str, finished: bool = True) -> Path:
        return write_run(root / name, demo_root, *options, finished=finished)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        yield make


@pytest.fixture(scope="session")
def run(make_run: MakeRun) -> Path:
    """A finished run whose LoRA is on the language model."""
    return make_run("lora")
