"""The tiny model, untrained, behind a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import Live, tiny_model
from run_folders import write_run

from lalm_ambig.inference.model import Model
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.limits import Limits


@pytest.fixture(scope="session")
def small_model(cache_home: Path) -> Model:
    """The tiny model, which answers at once."""
    return tiny_model(cache_home)


@pytest.fixture(scope="session")
def thinking_model(cache_home: Path) -> Model:
    """The tiny model, which reasons in at most eight tokens."""
    return tiny_model(cache_home, reasoning=True, max_new_tokens=8)


@pytest.fixture(scope="module")
def small_limits() -> Limits:
    return Limits(upload_bytes=1024 * 1024, duration_s=10.0)


@pytest.fixture(scope="module")
def live(small_model: Model, small_limits: Limits) -> Iterator[Live]:
    with Live(Service(small_model, small_limits)) as server:
        yield server


@pytest.fixture(scope="session")
def served_run(
    demo_root: Path, cache_home: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run of the tiny model on the demo, made without training."""
    assert tiny_folder.is_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        return write_run(tmp_path_factory.mktemp("runs") / "served", demo_root, finished=True)
