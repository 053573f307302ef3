"""What tests of whole runs share: one process to fork them from, and each method's uninterrupted run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import ForkServer, Whole, words


@pytest.fixture(scope="session")
def server(cache_home: Path) -> Iterator[ForkServer]:
    found = ForkServer(cache_home)
    yield found
    found.close()


@pytest.fixture(scope="session")
def whole(server: ForkServer, demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The folder of a run of that method in so many processes that nothing interrupted; made once."""
    made: dict[tuple[str, int], Path] = {}

    def run(method: str, world: int) -> Path:
        if (method, world) not in made:
            folder = tmp_path_factory.mktemp(f"{method}{world}")
            log = folder / "log"
            codes = server.run(words(method, demo_root, folder, world=world), log, world=world)
            assert codes == [0] * world, log.read_text()
            made[method, world] = folder / "r"
        return made[method, world]

    return run
