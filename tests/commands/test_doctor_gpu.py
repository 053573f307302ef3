"""The doctor on a machine with GPUs, by stand-ins for what torch says of them: each fault is found, with a remedy."""

import subprocess
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from lalm_ambig.checks import all_reduce, gpu
from lalm_ambig.checks.all_reduce import check_all_reduce
from lalm_ambig.checks.gpu import check_gpus
from lalm_ambig.checks.outcome import CheckResult
from lalm_ambig.config.precision import precision_notes
from lalm_ambig.policies.tiny import Tiny

GIB = 2**30


class Machine:
    """Two sound cards, until a test says otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        self.cuda("is_available", lambda: True)
        self.cuda("device_count", lambda: 2)
        self.cuda(
            "get_device_properties",
            lambda *_: SimpleNamespace(name="A100", major=8, minor=0, total_memory=80 * GIB),
        )
        self.cuda("get_device_name", lambda *_: "A100")
        self.cuda("mem_get_info", lambda *_: (79 * GIB, 80 * GIB))
        self.cuda("get_arch_list", lambda: ["sm_80", "sm_90"])
        self.cuda("is_bf16_supported", lambda **_: True)
        self.cuda("device", lambda *_: torch.device("cpu"))
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(gpu, "_compute_on", lambda *_: None)
        monkeypatch.setattr(
            gpu, "_flash", lambda: CheckResult("flash attention", True, "forward and backward")
        )
        monkeypatch.setattr(
            gpu, "check_all_reduce", lambda count, backend: CheckResult(f"{backend} {count}", True, "right")
        )
        monkeypatch.setattr(gpu, "find_spec", lambda *_: None)
        monkeypatch.setattr(gpu.shutil, "which", lambda *_: None)

    def cuda(self, name: str, answer: object) -> None:
        self.patch.setattr(torch.cuda, name, answer)

    def results(self) -> dict[str, CheckResult]:
        return {result.name: result for result in check_gpus()}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_machine_without_a_gpu_has_nothing_to_check() -> None:
    assert torch.cuda.is_available() or list(check_gpus()) == []


def test_sound_cards_pass(machine: Machine) -> None:
    results = machine.results()
    assert all(result.ok and not result.remedy for result in results.values())
    assert "79.0 GiB free" in results["GPU 1"].finding
    assert "nccl 2" in results
    assert "not installed" in results["DeepSpeed"].finding


def test_one_card_needs_no_nccl(machine: Machine) -> None:
    machine.cuda("device_count", lambda: 1)
    assert not any("nccl" in name for name in machine.results())


def refuse(message: str) -> Callable[..., None]:
    def refusal(*_: object) -> None:
        raise RuntimeError(message)

    return refusal


def old_card(machine: Machine) -> None:
    machine.patch.setattr(gpu, "_compute_on", refuse("CUDA error: no kernel image is available\nmore"))


def full_card(machine: Machine) -> None:
    machine.cuda("mem_get_info", lambda number: (10 * GIB if number else 79 * GIB, 80 * GIB))


def broken_driver(machine: Machine) -> None:
    machine.patch.setattr(gpu.shutil, "which", lambda name: name)

    def fails(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(9, "nvidia-smi")

    machine.patch.setattr(gpu.subprocess, "run", fails)


def tf32(machine: Machine) -> None:
    machine.patch.setattr(torch, "get_float32_matmul_precision", lambda: "high")


def broken_deepspeed(machine: Machine) -> None:
    machine.patch.setattr(gpu, "find_spec", lambda *_: object())
    machine.patch.setattr(gpu, "version", lambda *_: "0.19.8")
    machine.patch.setattr(gpu.importlib, "import_module", refuse("CUDA_HOME does not exist"))


def unlinked(machine: Machine) -> None:
    machine.patch.setattr(
        gpu,
        "check_all_reduce",
        lambda *_, **__: CheckResult("nccl 2", False, "no answer", "NCCL_DEBUG"),
    )


@pytest.mark.parametrize(
    ("fault", "name", "finding", "remedy"),
    [
        (old_card, "GPU 0", "no kernel image is available", "sm_80, sm_90"),
        (full_card, "GPU 1", "10.0 GiB free", "nvidia-smi"),
        (broken_driver, "driver", "nvidia-smi fails", "driver"),
        (tf32, "products in float32", "TF32", "highest"),
        (broken_deepspeed, "DeepSpeed", "CUDA_HOME does not exist", "CUDA toolkit"),
        (unlinked, "nccl 2", "no answer", "NCCL_DEBUG"),
    ],
)
def test_a_fault_is_found_with_its_remedy(
    machine: Machine, fault: Callable[[Machine], None], name: str, finding: str, remedy: str
) -> None:
    fault(machine)
    failed = {result.name: result for result in machine.results().values() if not result.ok}
    assert name in failed
    assert finding in failed[name].finding and remedy in failed[name].remedy
    assert "\n" not in failed[name].finding


def test_a_card_without_bf16_says_what_is_faster(machine: Machine) -> None:
    machine.cuda("is_bf16_supported", lambda **_: False)
    machine.cuda("get_device_name", lambda *_: "Tesla T4")
    result = machine.results()["bf16 on GPU 0"]
    assert result.ok and "Tesla T4 has no bf16" in result.finding and "16-mixed" in result.finding


@pytest.mark.parametrize(
    ("precision", "accelerator", "told"),
    [("bf16-mixed", "gpu", True), ("bf16-mixed", "cpu", False), ("16-mixed", "gpu", False)],
)
def test_a_run_in_bf16_is_told_of_a_card_without(
    machine: Machine, precision: str, accelerator: str, told: bool
) -> None:
    machine.cuda("is_bf16_supported", lambda **_: False)
    assert bool(precision_notes(Tiny(), {"precision": precision, "accelerator": accelerator})) == told
    machine.cuda("is_bf16_supported", lambda **_: True)
    assert precision_notes(Tiny(), {"precision": precision, "accelerator": accelerator}) == []


@pytest.mark.slow
def test_processes_sum_with_each_other() -> None:
    result = check_all_reduce(2, backend="gloo")
    assert result.ok, result.finding
    assert "GB/s" in result.finding


def test_processes_that_do_not_meet_are_stopped() -> None:
    result = check_all_reduce(2, backend="gloo", waits_s=0.01)
    assert not result.ok and "NCCL_DEBUG" in result.remedy


@pytest.mark.slow
def test_a_backend_that_is_missing_is_the_finding() -> None:
    result = check_all_reduce(2, backend="nccl")
    assert not result.ok and result.finding
    assert result.remedy == all_reduce.REMEDY
