"""A trained policy written as a folder that needs nothing of this project, and read back to see that it does."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.exporting.card import Form
from lalm_ambig.exporting.parity import (
    Difference,
    Probe,
    difference,
    plain_logits,
    policy_logits,
    require_parity,
)
from lalm_ambig.exporting.zero import put_into, read_zero
from lalm_ambig.files.atomic import write_text
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.checkpoint import UNREADABLE, read_model
from lalm_ambig.policies.weights.lora import Adapter, shared_layers

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Checked:
    """What comparing the written folder with the policy has shown."""

    difference: Difference
    moved: Difference | None
    """How far training moved the base model, in the same terms; None under full fine-tuning, which keeps no base."""
    dtype: torch.dtype
    """Of the weights that were read back."""

    @property
    def line(self) -> str:
        """For people."""
        name, found = str(self.dtype).removeprefix("torch."), self.difference
        text = (
            f"{name} weights: logits up to {found.logit:.2g} from the policy's (largest {found.largest:.3g})"
        )
        text += f", shares up to {found.share:.2g}"
        if self.moved is None:
            return text
        return f"{text}; training moved them by up to {self.moved.logit:.2g} and {self.moved.share:.2g}"

    @property
    def warning(self) -> str | None:
        """Where rounding takes a good part of what training has done."""
        if self.moved is None or self.difference.logit <= self.moved.logit / 2:
            return None
        return "rounding changes the answers as much as training did: export with --dtype float32"


def load_weights(policy: Policy, source: Path, *, zero: bool) -> torch.dtype:
    """Put trained weights into a policy, all of it in float32; returns the type of the base's own weights.

    Args:
        policy: It need not be loaded.
        source: A run's adapter folder, or a DeepSpeed checkpoint.
        zero: Whether it is the latter.

    Raises InputError where it holds none, or another policy's.
    """
    tensors = read_zero(source) if zero else None
    policy.load()
    own: torch.dtype = policy.base.get_input_embeddings().weight.dtype
    policy.float()
    if tensors is None:
        policy.load_weights(source)
    else:
        put_into(policy, tensors, where=str(source))
    return own


def write(policy: Policy, folder: Path, form: Form, *, probe: Probe, dtype: torch.dtype) -> Checked:
    """Write the policy's weights into a folder and compare their answers with the policy's, which is used up.

    Args:
        policy: Loaded and trained, in float32.
        folder: An empty folder.
        form: LoRA in PEFT's layout, or everything as one model of transformers.
        probe: What both are asked.
        dtype: Of a whole model's weights; an adapter is written as it was trained.

    Raises InputError where the answers differ by more than rounding explains.
    """
    expected = policy_logits(policy, probe)
    moved = None
    if policy.adapter.method == "lora":
        with policy.adapter_off():
            moved = difference(expected, policy_logits(policy, probe), probe)
    if form == "adapter":
        dtype = torch.float32
        reloaded = _adapter(policy, folder)
    else:
        reloaded = _whole(policy, folder, dtype)
    extractor = None
    if isinstance(policy, AudioModel):
        source = folder if form == "merged" else policy.checkpoint()
        extractor = type(policy.extractor).from_pretrained(source)
    found = difference(expected, plain_logits(reloaded, extractor, probe), probe)
    require_parity(found, dtype)
    return Checked(found, moved, dtype)


def _adapter(policy: Policy, folder: Path) -> Any:
    """Write the adapter; a fresh base model with it, by PEFT alone."""
    policy.save(folder)
    _rename_base(folder, base_name(policy))
    peft_model = type(policy.model)
    _make_room(policy)
    _, base = policy.load_base()
    base = torch.nn.Module.float(base)  # transformers' own refuses a quantized one
    return peft_model.from_pretrained(base, folder)


def _whole(policy: Policy, folder: Path, dtype: torch.dtype) -> Any:
    """Write one model with LoRA added to its weights; the same read by transformers alone."""
    if policy.adapter.method == "lora":
        _merge(policy)
    policy.to(dtype)
    policy.save(folder)
    model_class, spoken = type(policy.base), _ids(policy.tokenizer)
    _make_room(policy)
    try:
        model = read_model(model_class, str(folder), dtype=dtype)
        tokenizer = type(policy.tokenizer).from_pretrained(folder)
    except UNREADABLE as error:
        raise InputError(f"what was written cannot be read back: {error}", where="export") from error
    if _ids(tokenizer) != spoken:
        raise InputError("the written tokenizer gives other tokens than the policy's.", where="export")
    return model


def _make_room(policy: Policy) -> None:
    """Let go of the policy's weights, whoever still knows its layers, so that memory holds only one copy."""
    torch.nn.Module.to(policy.model, "meta")


def _merge(policy: Policy) -> None:
    """Add LoRA to the weights. InputError where that cannot be saved, or is not a number."""
    if (quantizer := vars(policy.base).get("hf_quantizer")) is not None:
        method = quantizer.quantization_config.quant_method
        raise InputError(
            f"the base model is quantized ({getattr(method, 'value', method)}), so nothing can be added to it:",
            where="--merged",
            remedy="export the --adapter, or train on the model as it was before (or take quantization_config out of a "
            "config.json that only carries it over).",
        )
    if shared := shared_layers(policy.base):
        raise InputError(
            f"layers share one weight ({' and '.join(shared)}), and each has an adapter of its own:",
            where="--merged",
            remedy="export the --adapter.",
        )
    try:
        policy.model = policy.model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise InputError(f"the adapter cannot be merged: {error}", where="export") from error
    policy.adapter = Adapter(method="full")  # what it is now, and is saved as


def _ids(tokenizer: Any) -> list[int]:
    return list(tokenizer("Is it happy?\n<answer>", add_special_tokens=False)["input_ids"])


def base_name(policy: Policy) -> str:
    """The base model's hub id; of a folder's path only the last part, which names nothing of the machine."""
    given = str(policy.base.name_or_path)
    return Path(given).name if Path(given).is_absolute() or Path(given).exists() else given


def _rename_base(folder: Path, name: str) -> None:
    """Put the base model's name into an adapter's settings in place of where it was on this machine."""
    file = folder / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = name
    write_text(file, json.dumps(settings, indent=2, sort_keys=True) + "\n")
