"""Writes a trained policy as a folder that loads without this project, and reads it back to compare."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import ExportForm
from lalm_ambig.exporting.parity import (
    LogitDifference,
    ParityProbe,
    difference,
    plain_logits,
    policy_logits,
    require_parity,
)
from lalm_ambig.exporting.zero import load_trained, read_zero
from lalm_ambig.files.atomic import write_text
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.families.base import AudioFamily
from lalm_ambig.policies.weights.checkpoint import UNREADABLE, read_model
from lalm_ambig.policies.weights.lora import Adapter, shared_layers
from lalm_ambig.policies.weights.quantised_base import dequantise, quantise

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class ParityReport:
    """Result of comparing an export with the policy."""

    difference: LogitDifference
    moved: LogitDifference | None
    """Difference between the policy and its base model; None under full fine-tuning, which keeps no base model."""
    dtype: torch.dtype
    """Type of the weights that were read back."""
    on_plain: LogitDifference | None = None
    """Difference of the adapter on the plain base model, where it was trained on a quantised one; else None."""

    @property
    def line(self) -> str:
        """The result in one line."""
        name, gap = str(self.dtype).removeprefix("torch."), self.difference
        text = f"{name} weights: logits up to {gap.logit:.2g} from the policy's (largest {gap.largest:.3g})"
        text += f", shares up to {gap.share:.2g}"
        if self.on_plain is not None:
            text += f" (on the plain base model {self.on_plain.logit:.2g} and {self.on_plain.share:.2g})"
        if self.moved is None:
            return text
        return f"{text}; training moved them by up to {self.moved.logit:.2g} and {self.moved.share:.2g}"

    @property
    def warning(self) -> str | None:
        """Warning where rounding is more than half as large as the effect of training; else None."""
        if self.moved is None or self.difference.logit <= self.moved.logit / 2:
            return None
        return "rounding changes the answers as much as training did: export with --dtype float32"


def load_weights(policy: Policy, source: Path, *, zero: bool) -> torch.dtype:
    """Load a policy with its trained weights, in float32.

    Args:
        policy: A policy, loaded or not.
        source: A run's adapter folder, or a DeepSpeed checkpoint.
        zero: Whether the source is a DeepSpeed checkpoint.

    Returns:
        The type of the base model's weights before the conversion.

    Raises:
        InputError: The source has no weights, or those of another policy.
    """
    tensors = read_zero(source) if zero else None
    policy.load()
    dtype: torch.dtype = policy.base.get_input_embeddings().weight.dtype
    policy.float()
    if tensors is None:
        policy.load_weights(source)
    else:
        load_trained(policy, tensors, where=str(source))
    return dtype


def write_weights(
    policy: Policy, folder: Path, form: ExportForm, *, probe: ParityProbe, dtype: torch.dtype
) -> ParityReport:
    """Write the policy's weights into a folder, read them back and compare the logits. The policy is freed.

    Args:
        policy: Loaded and trained, in float32.
        folder: An empty folder.
        form: LoRA in PEFT's layout, or one merged model of transformers.
        probe: The prompts that both models are asked.
        dtype: Type of a merged model's weights. An adapter is written as it was trained.

    Returns:
        The result of the comparison.

    Raises:
        InputError: The logits differ by more than rounding explains, or the weights cannot be merged.
    """
    expected = policy_logits(policy, probe)
    moved = None
    if policy.adapter.method == "lora":
        with policy.adapter_off():
            moved = difference(expected, policy_logits(policy, probe), probe)
    if policy.side_layers:
        actual = _write_side_path(policy, folder, probe)
        return _compared(expected, actual, probe, moved=moved, dtype=torch.float32, reader="lalm_ambig")
    if form == "merged":
        reloaded = _write_merged(policy, folder, dtype)
        actual = plain_logits(reloaded, _family(policy, form, folder), probe)
        return _compared(expected, actual, probe, moved=moved, dtype=dtype)
    reloaded, family = _write_adapter(policy, folder), _family(policy, form, folder)
    actual, on_plain = plain_logits(reloaded, family, probe), None
    if policy.quantize:
        on_plain = difference(expected, actual, probe)
        actual = plain_logits(_on_quantised(policy, reloaded, folder), family, probe)
    checked = _compared(expected, actual, probe, moved=moved, dtype=torch.float32)
    return replace(checked, on_plain=on_plain)


def _compared(  # noqa: PLR0913
    expected: list[Tensor],
    actual: list[Tensor],
    probe: ParityProbe,
    *,
    moved: LogitDifference | None,
    dtype: torch.dtype,
    reader: str = "plain transformers",
) -> ParityReport:
    gap = difference(expected, actual, probe)
    require_parity(gap, dtype, reader=reader)
    return ParityReport(gap, moved, dtype)


def _write_side_path(policy: Policy, folder: Path, probe: ParityProbe) -> list[Tensor]:
    """Write an adapter with a side path, and read it back by this package, since PEFT refuses it."""
    policy.save(folder)
    _rename_base(folder, base_name(policy))
    policy.reload()
    policy.load_weights(folder)
    return policy_logits(policy.float(), probe)


def _write_adapter(policy: Policy, folder: Path) -> Any:
    """Write the adapter, and load a new base model with it by PEFT."""
    policy.save(folder)
    _rename_base(folder, base_name(policy))
    peft_model = type(policy.model)
    _free_weights(policy)
    _, base = policy.load_base()
    base = torch.nn.Module.float(base)  # transformers' own refuses a quantized one
    return peft_model.from_pretrained(base, folder)


def _on_quantised(policy: Policy, reloaded: Any, folder: Path) -> Any:
    """The adapter, read by PEFT onto the base model quantised as the policy's was; `reloaded` is taken apart."""
    assert policy.quantize is not None
    policy.model = reloaded.unload()
    quantise(policy.model, policy.language_model, policy.quantize)
    return type(reloaded).from_pretrained(policy.model, folder)


def _family(policy: Policy, form: ExportForm, folder: Path) -> AudioFamily | None:
    """A policy's family with the feature extractor that was written, or else the base model's; None without ears."""
    if not isinstance(policy, AudioModel):
        return None
    kind, source = policy.find_kind(), str(folder) if form == "merged" else policy.checkpoint()
    return kind(policy.family.model, *kind.load_front(source))


def _write_merged(policy: Policy, folder: Path, dtype: torch.dtype) -> Any:
    """Write one model with LoRA merged into its weights, and load it by transformers."""
    if policy.adapter.method == "lora":
        _merge(policy)
    policy.to(dtype)
    policy.save(folder)
    model_class, spoken = type(policy.base), _ids(policy.tokenizer)
    _free_weights(policy)
    try:
        model = read_model(model_class, str(folder), dtype=dtype)
        tokenizer = type(policy.tokenizer).from_pretrained(folder)
    except UNREADABLE as error:
        raise InputError(f"what was written cannot be read back: {error}", where="export") from error
    if _ids(tokenizer) != spoken:
        raise InputError("the written tokenizer gives other tokens than the policy's.", where="export")
    return model


def _free_weights(policy: Policy) -> None:
    """Free the policy's weights, even where its layers are still referenced, so that memory holds one copy only."""
    torch.nn.Module.to(policy.model, "meta")


def _merge(policy: Policy) -> None:
    """Merge LoRA into the weights; quantised ones are made plain first, as LoRA was trained beside them.

    Raises:
        InputError: The base model is quantised, layers share a weight, or the result is not finite.
    """
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
    dequantise(policy.model)
    try:
        policy.model = policy.model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise InputError(f"the adapter cannot be merged: {error}", where="export") from error
    policy.adapter = Adapter(method="full")  # the merged policy is saved as a full model


def _ids(tokenizer: Any) -> list[int]:
    return list(tokenizer("Is it happy?\n<answer>", add_special_tokens=False)["input_ids"])


def base_name(policy: Policy) -> str:
    """Hub id of the base model; for a folder only its name, without the path on this machine."""
    name = str(policy.base.name_or_path)
    return Path(name).name if Path(name).is_absolute() or Path(name).exists() else name


def _rename_base(folder: Path, name: str) -> None:
    """Replace the base model's path in an adapter's settings by its name."""
    file = folder / "adapter_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = name
    write_text(file, json.dumps(settings, indent=2, sort_keys=True) + "\n")
