"""A device that is asked for and not there is one line: which, why torch sees none, and what to do."""

from typing import Any

import pytest
import torch

from lalm_ambig.config.devices import check_devices, no_gpu, what_is_there
from lalm_ambig.core.errors import InputError


def trainer(**settings: Any) -> dict[str, Any]:
    return {"accelerator": "auto", "devices": 1, "num_nodes": 1, "strategy": "auto", **settings}


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make torch see so many GPUs, built for so much."""

    def make(count: int, *, build: str | None = "13.0") -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        monkeypatch.setattr(torch.version, "cuda", build)
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def init() -> None:
        raise RuntimeError("Found no NVIDIA driver on your system. Please check that you have one\nmore")

    monkeypatch.setattr(torch.cuda, "init", init)
    return make


@pytest.mark.parametrize(
    "settings",
    [
        {"accelerator": "gpu"},
        {"accelerator": "cuda", "devices": -1},
        {"accelerator": "gpu", "devices": 8, "strategy": "ddp"},
        {"accelerator": "gpu", "devices": 2, "num_nodes": 2, "strategy": "deepspeed_stage_3"},
        {"devices": 2},
        {"devices": "0,1"},
        {"devices": [0, 1]},
        {"devices": -1},
    ],
)
def test_a_gpu_that_torch_does_not_see_is_refused_with_the_reason(see: Any, settings: dict[str, Any]) -> None:
    see(0)
    with pytest.raises(InputError, match="trainer") as raised:
        check_devices(trainer(**settings))
    line = str(raised.value)
    assert (
        f"torch {torch.__version__} (built for CUDA 13.0) sees no GPU: Found no NVIDIA driver on your system."
        in line
    )
    assert "nvidia-smi" in line and "\n" not in line
    words = line.partition("Or try the run on the CPU: ")[2].partition(". ")[0].removesuffix(".").split()
    changed = {
        name.removeprefix("--trainer."): value for name, value in zip(words[::2], words[1::2], strict=True)
    }
    check_devices({**trainer(**settings), **changed, "num_nodes": 1})  # what is advised is accepted
    assert (
        changed.get("strategy", settings.get("strategy", "auto")) in ("auto", "ddp") or "strategy" in changed
    )


def test_a_build_for_cpus_hidden_gpus_and_a_missing_driver_are_told_apart(
    see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(0, build=None)
    assert "is a build for CPUs only" in no_gpu() and "nvidia-smi" not in no_gpu()
    see(0)
    assert "nvidia-smi" in no_gpu()
    for hidden in ("", "-1", "none"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert f"CUDA_VISIBLE_DEVICES is {hidden!r}" in no_gpu()
    for named in ("0", "1,2", "GPU-8f3a"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert "nvidia-smi" in no_gpu()


@pytest.mark.parametrize("devices", [1, 2, -1, "-1", "auto", "0,1", [0, 1], [1], "1,"])
def test_gpus_that_are_there_are_taken(see: Any, devices: Any) -> None:
    see(2)
    for accelerator in ("gpu", "cuda", "auto"):
        check_devices(trainer(accelerator=accelerator, devices=devices))


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (3, "3 was asked for, and torch sees 2 GPUs"),
        ("0,2", "0,2 was asked for, and torch sees 2 GPUs"),
        ([5], r"\[5\] was asked for"),
        (0, "expected a number of GPUs"),
        (-2, "expected a number of GPUs"),
        ("x", "got 'x'"),
        ([], r"got \[\]"),
    ],
)
def test_more_gpus_than_there_are_and_what_is_no_number_are_refused(
    see: Any, devices: Any, expected: str
) -> None:
    see(2)
    for accelerator in ("gpu", "auto"):
        with pytest.raises(InputError, match=f"trainer.devices: .*{expected}"):
            check_devices(trainer(accelerator=accelerator, devices=devices))


def test_processes_on_a_cpu_are_started_only_where_cpu_is_said(see: Any) -> None:
    see(0)
    check_devices(trainer(accelerator="cpu", devices=2))
    for devices in (0, -1, "x", [0], "0,1"):
        with pytest.raises(InputError, match=r"trainer.devices: expected a number of processes on the CPU"):
            check_devices(trainer(accelerator="cpu", devices=devices))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"accelerator": "mps"}, "only a Mac"),
        ({"accelerator": "tpu"}, "torch_xla"),
        ({"accelerator": "gpus"}, "expected one of auto, cpu, gpu, cuda, mps, tpu, got 'gpus'"),
        (
            {"accelerator": "cpu", "strategy": "deepspeed_stage_2"},
            "is for GPUs, and trainer.accelerator is cpu",
        ),
        ({"strategy": "deepspeed_stage_3_offload"}, "is for GPUs, and torch .* sees no GPU"),
        ({"num_nodes": 0}, "num_nodes must be at least 1, got 0"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches must be at least 1, got 0"),
        ({"check_val_every_n_epoch": 0}, "check_val_every_n_epoch must be at least 1, got 0"),
        ({"gradient_clip_val": -1.0}, "gradient_clip_val must be at least 0, got -1.0"),
    ],
)
def test_other_settings_of_the_trainer(see: Any, settings: dict[str, Any], expected: str) -> None:
    see(0)
    with pytest.raises(InputError, match=expected):
        check_devices(trainer(**settings))


def test_a_run_of_a_gpu_is_evaluated_on_what_is_there(see: Any) -> None:
    see(0)
    settings = trainer(accelerator="gpu", devices=8)
    note = what_is_there(settings)
    assert note is not None and "is gpu, of which this machine has none" in note
    assert settings["accelerator"] == "auto"
    for accelerator in ("cpu", "auto"):
        assert what_is_there(trainer(accelerator=accelerator)) is None
    see(1)
    kept = trainer(accelerator="gpu")
    assert what_is_there(kept) is None and kept["accelerator"] == "gpu"
