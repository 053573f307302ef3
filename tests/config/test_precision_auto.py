"""`precision: auto` becomes the name of what this machine has arithmetic for, before anything is recorded."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lalm_ambig.config.cli import parse
from lalm_ambig.config.precision import chosen_precision

HERE = {"accelerator": "auto"}


def machine(patch: pytest.MonkeyPatch, *, gpu: bool = False, bf16: bool = True, **cpu: bool) -> None:
    patch.setattr(torch.cuda, "is_available", lambda: gpu)
    patch.setattr("lalm_ambig.config.precision.lacks_bf16", lambda: None if bf16 else "an old card")
    patch.setattr(torch.cpu, "get_capabilities", lambda: cpu)


@pytest.mark.parametrize(
    ("there", "dtype", "accelerator", "expected"),
    [
        ({"amx_bf16": True}, None, "auto", "bf16-mixed"),
        ({"avx512_bf16": True}, "float32", "cpu", "bf16-mixed"),
        ({"avx512_bf16": True}, "bfloat16", "auto", "bf16-mixed"),
        ({"avx512_bf16": True}, "float16", "auto", "32-true"),
        ({"avx2": True}, None, "auto", "32-true"),
        ({"avx512_bf16": False}, None, "auto", "32-true"),
        ({}, "bfloat16", "cpu", "32-true"),
        ({"gpu": True}, None, "auto", "bf16-mixed"),
        ({"gpu": True}, "float16", "cuda", "16-mixed"),
        ({"gpu": True, "bf16": False}, None, "gpu", "16-mixed"),
        ({"gpu": True, "bf16": False}, "float32", "auto", "16-mixed"),
        ({"gpu": True, "bf16": False}, "bfloat16", "auto", "32-true"),
        ({"gpu": True}, None, "cpu", "32-true"),
        ({"gpu": True, "amx_bf16": True}, None, "cpu", "bf16-mixed"),
        ({}, None, "mps", "32-true"),
    ],
)
def test_it_is_what_the_machine_has_arithmetic_for(
    monkeypatch: pytest.MonkeyPatch,
    there: dict[str, Any],
    dtype: str | None,
    accelerator: str,
    expected: str,
) -> None:
    machine(monkeypatch, **there)
    assert chosen_precision({"accelerator": accelerator}, dtype) == expected


@pytest.mark.parametrize("by_file", [False, True])
def test_the_record_and_the_identity_have_the_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_file: bool
) -> None:
    file = tmp_path / "auto.yaml"
    file.write_text("trainer: {precision: auto}\n")
    words = ["--preset", "demo", *(["--config", str(file)] if by_file else ["--trainer.precision", "auto"])]
    machine(monkeypatch, avx512_bf16=True)
    fast = parse(words)
    assert yaml.safe_load(fast.resolved())["trainer"]["precision"] == "bf16-mixed"
    assert fast.identity() == parse(["--preset", "demo", "--trainer.precision", "bf16-mixed"]).identity()
    machine(monkeypatch)
    slow = parse(words)
    assert slow.config_init["trainer"]["precision"] == "32-true"
    assert slow.identity() != fast.identity()
