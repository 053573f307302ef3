"""A stub server per test, and engines that ask it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from engine_stub import EngineStub
from small_model import MakePolicy

from lalm_ambig.core.types import Item
from lalm_ambig.rollouts.engines.vllm import VLLM

MakeEngine = Callable[..., VLLM]


@pytest.fixture
def stub(make_policy: MakePolicy) -> Iterator[EngineStub]:
    with EngineStub(make_policy()) as server:
        yield server


@pytest.fixture
def make_engine(stub: EngineStub, monkeypatch: pytest.MonkeyPatch) -> MakeEngine:
    """Builds an engine of the stub, or of several addresses, that soon gives up."""
    monkeypatch.setattr("lalm_ambig.remote.server.FIRST_WAIT_S", 0.01)

    def build(*urls: str, **settings: object) -> VLLM:
        patience = {"patience_s": 2.0, "timeout_s": 20.0}
        return VLLM(list(urls) or [stub.url], **patience | settings)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def read_items(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items without their sound."""
    return tuple(replace(item, audio=None, duration_s=0.0) for item in items)
