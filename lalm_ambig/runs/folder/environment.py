"""`environment.json`: what a run's numbers were made with, and what differs when the run is resumed."""

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
OPTIONAL = ("deepspeed", "bitsandbytes")
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that set the threads of libraries."""
DRIVER = Path("/proc/driver/nvidia/version")
COMPARED = ("packages", "threads", "device", "precision", "processes", "git", "machine")
"""Keys whose values can change a number."""


def environment(identity: str, trainer: Any = None) -> dict[str, Any]:
    """Return versions, revision, threads and devices. Nothing in it names the user.

    Args:
        identity: Identity of the run's configuration.
        trainer: Lightning's trainer, which knows the device; without one it is the CPU.
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
    """Return differences that can change a number, of keys that both environments have.

    >>> differences({"packages": {"torch": "2.13"}}, {"packages": {"torch": "2.14"}})
    ['torch 2.13 → 2.14']
    """
    lines = []
    for key in COMPARED:
        if key in recorded and key in now:
            lines += _differences(key, recorded[key], now[key])
    return lines


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        both = [key for key in before if key in now]
        return [line for key in both for line in _differences(_called(name, key), before[key], now[key])]
    return [] if before == now else [f"{name} {_text(before)} → {_text(now)}"]


def _called(name: str, key: str) -> str:
    """Return the name of a value: a library's own, or that of threads and devices with their key."""
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
    """Return kind, names and versions of the devices of the run."""
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
    """Return the version of NVIDIA's driver, from its kernel module."""
    try:
        words = DRIVER.read_text(encoding="utf-8").partition("\n")[0].split()
    except OSError:
        return None
    return next((word for word in words if word[:1].isdigit() and "." in word), None)


def installed_version(name: str) -> str:
    """Return a package's version. A project that is not installed has that of its source tree."""
    try:
        return version(name)
    except PackageNotFoundError:
        return f"{lalm_ambig.__version__} (not installed)"


def revision() -> str | None:
    """Return the commit of the checkout that the code is in, with `+changes` if it was edited; None outside one."""
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words], check=False, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--short=12", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain") else commit
