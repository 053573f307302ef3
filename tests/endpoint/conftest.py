"""A small ChaosNLI, and the words of a command that asks a stub about its test split."""

from collections.abc import Callable
from pathlib import Path

import pytest
from endpoint_stub import EndpointStub
from layouts import chaosnli

Words = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("lalm_ambig.endpoint.exchange.FIRST_PAUSE_S", 0.005)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chaosnli.write(tmp_path_factory.mktemp("pairs"))


@pytest.fixture
def words(pairs: Path, tmp_path: Path) -> Words:
    """The command line for a stub; the readout is verbalised unless it is given."""

    def make(stub: EndpointStub, *more: str, out: str = "out") -> list[str]:
        corpus = ["--corpus", "chaosnli", "--root", str(pairs), "--out", str(tmp_path / out)]
        return ["--endpoint", stub.url, "--model", "right-model", *corpus, *more]

    return make
