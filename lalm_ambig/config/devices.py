"""Checks that this machine has the devices that a configuration asks for, before any data is read."""

import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import torch

from lalm_ambig.core.errors import InputError

GPUS = ("gpu", "cuda")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")
"""Lightning's names of accelerators."""
LOWEST = {
    "num_nodes": 1,
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "num_sanity_val_steps": -1,
}
"""Lowest valid value per setting of the trainer. Lightning does not check these before training begins."""
ON_CPU = "--trainer.accelerator cpu"
NAMED = re.compile(r"\s*(\d|GPU-|MIG-)")
"""Beginning of a CUDA_VISIBLE_DEVICES that names a GPU."""


def check_devices(trainer: Mapping[str, Any]) -> None:
    """Check that this machine has the configured accelerator and number of devices.

    Several processes on a CPU start only if the accelerator is `cpu`. Otherwise two devices mean two GPUs.

    Args:
        trainer: The trainer's settings.

    Raises:
        InputError: A device is missing, a number is out of range, or the strategy does not work on a CPU.
    """
    for name, lowest in LOWEST.items():
        if (value := trainer.get(name)) is not None and value < lowest:
            raise InputError(f"{name} must be at least {lowest}, got {value}.", where="trainer")
    accelerator, devices = trainer["accelerator"], trainer["devices"]
    strategy = trainer.get("strategy")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if isinstance(strategy, str) and strategy.startswith("deepspeed") and on_cpu:
        why = "and trainer.accelerator is cpu." if accelerator == "cpu" else f"and {no_gpu()}"
        raise InputError(
            f"{strategy} is for GPUs, {why}",
            where="trainer.strategy",
            remedy="On a CPU, choose --trainer.strategy ddp or fsdp2.",
        )
    if reason := lack_of(accelerator):
        raise InputError(reason, where="trainer.accelerator", remedy=_cpu_remedy(trainer))
    if not isinstance(accelerator, str):  # an object, which Lightning asks itself
        return
    count = number_of(devices)
    if accelerator in GPUS or (accelerator == "auto" and torch.cuda.is_available()):
        _check_gpus(devices, count, torch.cuda.device_count() or 1)
    elif accelerator == "auto" and (count > 1 or count == -1) and not _has_mps():
        raise InputError(
            f"{devices} was asked for, and {no_gpu()}",
            where="trainer.devices",
            remedy=f"{_cpu_remedy(trainer)} (Several processes on the CPU start where {ON_CPU} is given.)",
        )
    elif accelerator in ("auto", "cpu") and (count < 1 or _listed(devices)):
        raise InputError(
            f"expected a number of processes on the CPU, from 1 on, got {devices!r}.", where="trainer.devices"
        )


def what_is_there(trainer: dict[str, Any]) -> str | None:
    """Let a trainer that only predicts use this machine's devices, if its own accelerator is missing.

    Args:
        trainer: The trainer's settings; the accelerator is changed in place.

    Returns:
        A line about the change; None without one.
    """
    accelerator = trainer["accelerator"]
    if lack_of(accelerator) is None or accelerator not in ACCELERATORS:
        return None
    trainer["accelerator"] = "auto"
    return (
        f"trainer.accelerator is {accelerator}, of which this machine has none: it is read on what is there."
    )


def lack_of(accelerator: Any) -> str | None:
    """Return why this machine lacks an accelerator.

    Args:
        accelerator: The setting of the trainer.

    Returns:
        The reason, for GPUs with a remedy. None if the machine has the accelerator, and for an object.
    """
    if not isinstance(accelerator, str):
        return None
    if accelerator not in ACCELERATORS:
        return f"expected one of {', '.join(ACCELERATORS)}, got {accelerator!r}."
    if accelerator in GPUS and not (torch.cuda.is_available() or (accelerator == "gpu" and _has_mps())):
        return f"{accelerator} was asked for, and {no_gpu()}"
    if accelerator == "mps" and not _has_mps():
        return f"mps was asked for, which only a Mac of Apple's own chips has; this is {sys.platform}."
    if accelerator == "tpu" and not _has_tpu():
        return "tpu was asked for, and torch_xla, which torch reaches a TPU by, finds none."
    return None


def no_gpu() -> str:
    """Return why torch sees no GPU, with a remedy: a build for CPUs, hidden GPUs, or the driver.

    Returns:
        The reason, as the end of a sentence.
    """
    build, version = torch.version.cuda or torch.version.hip, torch.__version__
    if build is None:
        return (
            f"torch {version} is a build for CPUs only. Install one for your GPU, and torchaudio from the same index "
            "(pytorch.org/get-started has the line)."
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and not NAMED.match(hidden):
        return (
            f"torch {version} sees no GPU, since CUDA_VISIBLE_DEVICES is {hidden!r}. Unset it, or name GPUs by "
            "number (0,1)."
        )
    reason = _torch_reason()
    return (
        f"torch {version} (built for {'CUDA' if torch.version.cuda else 'ROCm'} {build}) sees no GPU{reason}. Look at "
        "nvidia-smi: the driver is missing or too old, or this machine (this job) was given no GPU."
    )


def seen() -> str:
    """Return a description of the devices that torch can compute on.

    Returns:
        Number and names of the GPUs, or a CPU and the reason why torch sees no GPU.
    """
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return f"{len(names)} GPU{'s' if len(names) > 1 else ''} ({', '.join(dict.fromkeys(names))})"
    return "a GPU of Apple's" if _has_mps() else f"a CPU: {no_gpu()}"


def number_of(devices: Any) -> int:
    """Return the number of devices that a setting asks for.

    Args:
        devices: The setting: a number, `auto`, or a list of devices.

    Returns:
        The number; -1 means all devices, and 0 a value that asks for none.
    """
    if isinstance(devices, list | tuple):
        return len(devices)
    text = str(devices).strip()
    if text == "auto":
        return 1
    if "," in text:
        return len([part for part in text.split(",") if part.strip()])
    return int(text) if text.lstrip("-").isdecimal() else 0


def _check_gpus(devices: Any, count: int, visible: int) -> None:
    """Refuse more GPUs than torch sees, and numbers of GPUs that do not exist."""
    text = str(devices)
    numbers = [int(part) for part in text.strip("[] ").split(",") if part.strip().isdecimal()]
    if count == 0 or count < -1:
        raise InputError(
            f"expected a number of GPUs from 1 on, -1 for all, or their numbers (0,1), got {devices!r}.",
            where="trainer.devices",
        )
    if count > visible or (_listed(devices) and any(number >= visible for number in numbers)):
        raise InputError(
            f"{devices} was asked for, and torch sees {visible} GPU{'s' if visible > 1 else ''}"
            f" (numbered 0 to {visible - 1}).",
            where="trainer.devices",
            remedy=f"Set --trainer.devices {visible}, or look at CUDA_VISIBLE_DEVICES and the job's request.",
        )


def _listed(devices: Any) -> bool:
    """Return whether a setting names devices one by one."""
    return isinstance(devices, list | tuple) or "," in str(devices)


def _cpu_remedy(trainer: Mapping[str, Any]) -> str:
    """Return the remedy that names the options for a run on the CPU."""
    words = [ON_CPU]
    for name, plain in (("devices", 1), ("num_nodes", 1), ("strategy", "auto")):
        if trainer.get(name, plain) not in (plain, "auto"):
            words.append(f"--trainer.{name} {plain}")
    return f"Or try the run on the CPU: {' '.join(words)}."


def _torch_reason() -> str:
    """Return torch's own reason, as the end of a sentence; an empty text if it gives none."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        first = str(error).strip().splitlines()[0].partition(". ")[0].rstrip(".")
        return f": {first}"
    return ""


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def _has_tpu() -> bool:
    try:
        from lightning.pytorch.accelerators import XLAAccelerator

        return bool(XLAAccelerator.is_available())
    except ImportError:
        return False
