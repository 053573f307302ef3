"""Versions, the GPU, and whether every command can be imported and `doctor` is content."""

import importlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version

import torch
from product.commands import COMMANDS, command

from check.runner import Stage

PACKAGES = (
    *("torch", "torchaudio", "transformers", "tokenizers", "huggingface_hub", "safetensors", "peft"),
    *("lightning", "torchmetrics", "datasets", "jsonargparse", "soundfile", "jaxtyping", "numpy", "scipy"),
    *("deepspeed", "flash_attn", "vllm", "triton"),
)


def run(stage: Stage) -> None:
    note = stage.facts.note
    for package in PACKAGES:
        note(f"version of {package}", _version(package))
    note("python, cores", f"{sys.version.split()[0]}, {os.cpu_count()}")
    if stage.device.is_gpu:
        about = torch.cuda.get_device_properties(0)
        note(
            "gpu",
            about.name,
            gb=round(about.total_memory / 1e9, 1),
            bf16=torch.cuda.is_bf16_supported(),
            nccl=str(torch.cuda.nccl.version()),
        )
    for name in COMMANDS:
        with stage.facts.attempt(f"import lalm_ambig.{name}"):
            importlib.import_module(f"lalm_ambig.{name}")
    with stage.facts.attempt("doctor"):
        code = command("doctor", [])
        note("doctor", code, failed=code != 0)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
