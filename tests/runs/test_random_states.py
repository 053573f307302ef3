"""Random states in a checkpoint: a process's own, restored on whatever devices there are then."""

import random
from typing import Any

import numpy as np
import pytest
import torch

from lalm_ambig.runs.checkpoints.callback import random_states, set_random_states

CPU, GPU, OTHER = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)


class TwoGPUs:
    """Stands in for `torch.cuda`: a generator's state per visible GPU, and the current one."""

    def __init__(self, visible: int, current: int = 0) -> None:
        self.states = [torch.full((4,), n, dtype=torch.uint8) for n in range(visible)]
        self.current = current

    def get_rng_state(self) -> torch.Tensor:
        return self.states[self.current]

    def set_rng_state(self, state: torch.Tensor) -> None:
        self.states[self.current] = state


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Any:
    def see(visible: int, current: int = 0) -> TwoGPUs:
        found = TwoGPUs(visible, current)
        monkeypatch.setattr(torch, "get_device_module", lambda _: found)
        return found

    return see


def drawn() -> tuple[float, float, float]:
    return float(torch.rand(())), random.random(), float(np.random.random())  # noqa: NPY002


@pytest.mark.parametrize("device", [CPU, GPU])
def test_the_numbers_after_a_restored_state_are_those_that_would_have_come(
    device: torch.device, gpus: Any
) -> None:
    gpus(1)
    states = random_states(device)
    expected = drawn()
    set_random_states(states, device)
    assert drawn() == expected


def test_a_state_saved_beside_another_gpu_is_restored_on_the_only_one(gpus: Any) -> None:
    gpus(2, current=1)
    states = random_states(OTHER)
    alone = gpus(1)
    set_random_states(states, GPU)
    assert alone.states[0].tolist() == [1, 1, 1, 1]


def test_a_state_of_one_gpu_leaves_the_others_alone(gpus: Any) -> None:
    gpus(1)
    states = random_states(GPU)
    several = gpus(2, current=1)
    set_random_states(states, OTHER)
    assert [state.tolist() for state in several.states] == [[0] * 4, [0] * 4]


@pytest.mark.parametrize(("visible", "device", "restored"), [(1, GPU, 7), (2, OTHER, 8), (3, OTHER, 8)])
def test_a_state_of_an_earlier_version_has_those_of_all_gpus(
    gpus: Any, visible: int, device: torch.device, restored: int
) -> None:
    every = [torch.full((4,), n, dtype=torch.uint8) for n in (7, 8)]
    states = {**random_states(CPU), "cuda": every}
    del states["device"]
    found = gpus(visible, current=device.index)
    set_random_states(states, device)
    assert found.states[device.index].tolist() == [restored] * 4


@pytest.mark.parametrize(("saved", "now"), [(CPU, GPU), (GPU, CPU), (GPU, torch.device("mps"))])
def test_another_kind_of_device_restores_what_is_not_the_devices(
    saved: torch.device, now: torch.device, gpus: Any
) -> None:
    gpus(1)
    states = random_states(saved)
    expected = drawn()
    left = gpus(1)
    left.set_rng_state = lambda _: pytest.fail("the state of another kind was restored")
    set_random_states(states, now)
    assert drawn() == expected


def test_a_state_of_an_earlier_version_without_gpus_is_restored(gpus: Any) -> None:
    gpus(1)
    states = {**random_states(CPU), "cuda": []}
    set_random_states(states, GPU)


def test_the_state_is_of_types_that_a_checkpoint_may_hold(gpus: Any, tmp_path: Any) -> None:
    gpus(1)
    torch.save(random_states(GPU), tmp_path / "states")
    assert torch.load(tmp_path / "states", weights_only=True)["device"]["kind"] == "cuda"
