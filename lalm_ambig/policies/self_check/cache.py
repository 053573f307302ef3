"""Results of self-checks on disk, under a key of everything that they depend on."""

import hashlib
import json
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lalm_ambig.policies
from lalm_ambig.files.atomic import CannotWrite, write_text
from lalm_ambig.files.places import cache_root
from lalm_ambig.policies.attention.abilities import Abilities, Finding
from lalm_ambig.policies.attention.native_forward import LogitTransform

SAMPLED = 512
"""Values of each weight that enter the key, spread over the weight."""
PACKAGES = ("torch", "transformers", "peft")
KERNELS = ("mamba_ssm", "causal_conv1d", "flash-linear-attention", "flash_attn", "kernels", "bitsandbytes")
"""Packages with kernels that some classes use if they are installed."""


def cache_key(policy: Any) -> str:
    """Hash that changes with the weights, device, type, attention, adapter settings, and package versions."""
    config = policy.base.config
    parts = [
        type(policy).__name__,
        type(policy.base).__name__,
        config.to_json_string(use_diff=False),
        repr(policy.adapter),
        str(policy.attention_config._attn_implementation),
        str(policy.device.type),
        torch.cuda.get_device_name(policy.device) if policy.device.type == "cuda" else "",
        *(f"{package} {version(package)}" for package in PACKAGES),
        *(f"{package} {_installed(package)}" for package in KERNELS),
        torch.get_float32_matmul_precision(),
        _sources(),
    ]
    digest = hashlib.sha256("\n".join(parts).encode())
    for name, weight in policy.named_parameters():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        if "lora_" not in name:  # a fresh one's are random
            digest.update(_sample(weight.detach()))
    return digest.hexdigest()[:32]


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _sample(weight: Tensor) -> bytes:
    flat = weight.reshape(-1)
    spread = flat[:: max(1, len(flat) // SAMPLED)]
    return spread.float().cpu().numpy().tobytes()


@cache
def _sources() -> str:
    """Hash of the source files of this room."""
    digest = hashlib.sha256()
    for file in sorted(Path(lalm_ambig.policies.__path__[0]).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _file(key: str) -> Path:
    return cache_root() / "self_check" / f"{key}.json"


def read_abilities(key: str) -> Abilities | None:
    """The abilities under a key; None if there are none, or the file cannot be read."""
    try:
        values = json.loads(_file(key).read_text(encoding="utf-8"))
        findings = tuple(Finding(**finding) for finding in values.pop("findings"))
        transform = LogitTransform(**values.pop("logit_transform"))
        return Abilities(**values, logit_transform=transform, findings=findings)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_abilities(key: str, abilities: Abilities) -> None:
    """Store abilities for the next load; a cache that cannot be written is ignored."""
    try:
        write_text(_file(key), json.dumps(asdict(abilities), indent=1) + "\n")
    except CannotWrite:
        return
