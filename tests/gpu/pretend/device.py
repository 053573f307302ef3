"""The pretend accelerator as torch's device `pretend`, on which Lightning then trains in place of the CPU.

The hooks into Lightning are private; they were tested with its version 2.6.
"""

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy

from pretend.build import load

NAME = "pretend"


def register() -> Any:
    """Give torch the device; the backend, whose `counts` and `observe` tell what happens on it."""
    backend = load()
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _module())
    torch.utils.generate_methods_for_privateuse1_backend()
    return backend


def _module() -> types.ModuleType:
    """What torch asks of `torch.cuda`, for one device that is always ready and draws the CPU's random numbers."""
    module = types.ModuleType(f"torch.{NAME}")
    answers: dict[str, Any] = {
        "is_available": True,
        "is_initialized": True,
        "device_count": 1,
        "current_device": 0,
        "_is_in_bad_fork": False,
        "get_amp_supported_dtype": [torch.bfloat16, torch.float16, torch.float32],
    }
    for name, answer in answers.items():
        setattr(module, name, lambda answer=answer: answer)
    for name in ("set_device", "manual_seed", "manual_seed_all", "synchronize", "empty_cache", "_lazy_init"):
        setattr(module, name, lambda *_: None)
    states: dict[str, Any] = {
        "get_rng_state": lambda *_: torch.get_rng_state(),
        "set_rng_state": lambda *_: None,
        "get_rng_state_all": lambda: [torch.get_rng_state()],
        "device": _only_device,
    }
    for name, function in states.items():
        setattr(module, name, function)
    return module


@contextlib.contextmanager
def _only_device(_: Any) -> Iterator[None]:
    yield


def train_on_it() -> None:
    """Have Lightning put on the device what it would leave on the CPU, under autocast of that device."""
    to_device, to_precision = SingleDeviceStrategy.__init__, MixedPrecision.__init__

    def on_device(self: Any, device: Any = "cpu", *args: Any, **named: Any) -> None:
        to_device(self, f"{NAME}:0" if str(device) == "cpu" else device, *args, **named)

    def in_precision(self: Any, precision: Any, device: str, scaler: Any = None) -> None:
        to_precision(self, precision, NAME if device == "cpu" else device, scaler)

    SingleDeviceStrategy.__init__ = on_device
    MixedPrecision.__init__ = in_precision
    CPUAccelerator.setup_device = lambda *_: None
