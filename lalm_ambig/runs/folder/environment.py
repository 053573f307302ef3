"""What a run's numbers were made with: `environment.json`, and what is different where the run goes on."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import lalm_ambig
from lalm_ambig.config.identity import RULES
from lalm_ambig.core import distributed

PACKAGES = (
    "lalm_ambig",
    "torch",
    "torchaudio",
    "lightning",
    "transformers",
    "tokenizers",
    "safetensors",
    "peft",
    "torchmetrics",
    "datasets",
    "numpy",
    "scipy",
    "soundfile",
    "jsonargparse",
)
OPTIONAL = ("deepspeed",)
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""By which libraries are told their threads before torch is."""
DRIVER = Path("/proc/driver/nvidia/version")
COMPARED = ("packages", "threads", "device", "precision", "processes", "git", "machine")
"""What can change a number."""


def environment(identity: str, trainer: Any = None) -> dict[str, Any]:
    """Versions, revision, threads and devices: what a number was made with, without a name of the user's.

    Args:
        identity: Of the run's configuration.
        trainer: Lightning's, which knows the device; without one the CPU is taken for it.
    """
    return {
        "identity": identity,
        "identity_rules": RULES,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": dict(_packages()),
        "git": revision(),
        "threads": {
            "torch": torch.get_num_threads(),
            "torch_interop": torch.get_num_interop_threads(),
            **{name: os.environ.get(name) for name in VARIABLES},
        },
        "device": _device("cpu" if trainer is None else trainer.strategy.root_device.type),
        "precision": None if trainer is None else str(trainer.precision),
        "processes": distributed.world_size(),
    }


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is another than recorded and can change a number, as `torch 2.13 → 2.14`; only what both know."""
    found = []
    for key in COMPARED:
        if key in recorded and key in now:
            found += _differences(key, recorded[key], now[key])
    return found


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        both = [key for key in before if key in now]
        return [line for key in both for line in _differences(_called(name, key), before[key], now[key])]
    return [] if before == now else [f"{name} {_text(before)} → {_text(now)}"]


def _called(name: str, key: str) -> str:
    """A library by its own name, what belongs to threads and device by both words."""
    return key if name == "packages" or key in VARIABLES else f"{name} {key}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        yield name, installed_version(name)
    for name in OPTIONAL:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _device(kind: str) -> dict[str, Any]:
    """Kind, names and versions of the devices that are computed on."""
    if kind != "cuda":
        return {"kind": kind, "instructions": torch.backends.cpu.get_cpu_capability()}
    return {
        "kind": kind,
        "names": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "driver": _driver(),
        "float32_matmul": torch.get_float32_matmul_precision(),
    }


def _driver() -> str | None:
    """NVIDIA's driver, as its kernel module names it."""
    try:
        words = DRIVER.read_text(encoding="utf-8").partition("\n")[0].split()
    except OSError:
        return None
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def installed_version(name: str) -> str:
    """A package's version; of the project in a tree that was not installed, the tree's."""
    try:
        return version(name)
    except PackageNotFoundError:
        return f"{lalm_ambig.__version__} (not installed)"


def revision() -> str | None:
    """Commit of the checkout that the code runs from, with `+changes` where it was edited; None outside one."""
    here = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words], check=False, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--short=12", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain") else commit
