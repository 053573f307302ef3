"""Which weights of a base model are trained: LoRA on the language model with options, or everything."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lalm_ambig.errors import InputError
from lalm_ambig.policies.checkpoint import UNREADABLE, read_model

PROJECTIONS = r"(q_proj|k_proj|v_proj|qkv_proj|o_proj|gate_proj|up_proj|gate_up_proj|down_proj)"
"""Attention and feed-forward layers of a decoder, as every family of transformers names them."""
LANGUAGE_MODEL = rf".*language_model\..*\.{PROJECTIONS}"
TEXT_MODEL = rf".*model\.layers\..*\.{PROJECTIONS}"
AUDIO_TOWER = r".*audio_tower\..*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
"""Full-match patterns. A bare name such as `q_proj` would also hit the audio tower."""


@dataclass(frozen=True)
class Adapter:
    """What is trained. The defaults are paper A's."""

    method: Literal["lora", "full"] = "lora"
    """`lora`: low-rank adapters on the language model's attention and feed-forward layers. `full`: all weights."""
    rank: int = 8
    """LoRA rank r."""
    alpha: float = 16
    """LoRA scale: the update is multiplied by alpha / rank."""
    dropout: float = 0.0
    """Dropout on the input of each adapter, in [0, 1)."""
    projector: bool = False
    """Also train the projector between audio tower and language model, whole."""
    audio_tower: bool = False
    """Also put LoRA on the audio tower; its features can then not be cached."""
    checkpoint_activations: bool = False
    """Keep only what each decoder layer of a training pass begins with, and compute the rest again on the way
    back: far less memory for about a third more time. The numbers stay the same."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"rank must be at least 1, got {self.rank}", where="policy.adapter")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in [0, 1), got {self.dropout}", where="policy.adapter")
        if self.method == "full" and (self.projector or self.audio_tower):
            raise InputError(
                "full fine-tuning already trains the projector and the audio tower:",
                where="policy.adapter",
                remedy="set projector and audio_tower to false.",
            )

    @property
    def trains_tower(self) -> bool:
        """Whether the audio tower's features change in training."""
        return self.method == "full" or self.audio_tower

    def config(self, language_model: str, projector: str) -> LoraConfig:
        """The PEFT configuration, given the pattern of the language model's layers and the projector's name."""
        pattern = f"({language_model}|{AUDIO_TOWER})" if self.audio_tower else language_model
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=pattern,
            modules_to_save=[projector] if self.projector else None,
            bias="none",
        )


def attach(model: nn.Module, adapter: Adapter, *, language_model: str, projector: str) -> nn.Module:
    """The model with its adapter, whose effect is exactly zero at first; or the model itself, all weights trained.

    InputError where no layer has the names that `language_model` asks for.
    """
    if adapter.method == "full":
        model.requires_grad_(True)
        return model
    if not any(re.fullmatch(language_model, name) for name, _ in model.named_modules()):
        raise InputError(
            f"{type(model).__name__} has no layers with the names that LoRA goes on {PROJECTIONS}:",
            where="policy",
            remedy="set policy.adapter.method to full, or choose a model with a decoder of Llama's kind.",
        )
    wrapped: nn.Module = get_peft_model(model, adapter.config(language_model, projector))
    if trained := _norm_of_lora_b(wrapped):
        raise RuntimeError(f"a fresh adapter must have no effect, but lora_B has norm {trained:.3g}")
    return wrapped


def _norm_of_lora_b(model: nn.Module) -> float:
    return sum(float(p.detach().norm()) for name, p in model.named_parameters() if "lora_B" in name)


def load_adapter(model: nn.Module, folder: Path) -> None:
    """Put a saved adapter's weights into an attached model.

    Raises InputError where the folder holds no adapter, or one of another shape, or one without any effect.
    """
    weights = _adapter_weights(folder)
    if not isinstance(model, PeftModel):
        raise InputError("the policy is set to full fine-tuning and takes no adapter.", where=str(folder))
    own = {_saved_name(name) for name, p in model.named_parameters() if p.requires_grad}
    missing = sorted(own - set(weights))
    foreign = sorted(set(weights) - own)
    if missing or foreign:
        detail = (
            f"it lacks {missing[0]}" if missing else f"it has {foreign[0]}, which the policy does not train"
        )
        raise InputError(
            f"the adapter is not of this policy: {detail}.",
            where=str(folder),
            remedy="Check policy.adapter and the base model.",
        )
    _copy(model, weights, folder)
    if _norm_of_lora_b(model) == 0:
        raise InputError("the adapter has no effect: every lora_B is zero.", where=str(folder))


def _saved_name(name: str) -> str:
    """A parameter's name as PEFT writes it, without the adapter's own."""
    return name.replace(".modules_to_save.default", "").replace(".default", "")


def _copy(model: nn.Module, weights: dict[str, torch.Tensor], folder: Path) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            saved = weights.get(_saved_name(name)) if parameter.requires_grad else None
            if saved is None:
                continue
            if saved.shape != parameter.shape:
                raise InputError(
                    f"{name} is {list(saved.shape)} in the adapter and {list(parameter.shape)} in the policy.",
                    where=str(folder),
                )
            parameter.copy_(saved)


def _adapter_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "adapter_model.safetensors"
    if not path.is_file():
        raise InputError(
            f"no adapter_model.safetensors in {folder}",
            where="adapter",
            remedy="Give a run's adapter folder.",
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"not a readable safetensors file: {error}", where=str(path)) from error


def load_model(model: Any, folder: Path) -> None:
    """Put a fully fine-tuned model's weights into one of its architecture; read in float32, so that none is rounded.

    Raises InputError where the folder holds no model, or one of another shape.
    """
    if not (folder / "config.json").is_file():
        raise InputError(
            f"no config.json in {folder}",
            where="adapter",
            remedy="Give the folder of a fully fine-tuned model, or set policy.adapter to what the run had.",
        )
    try:
        saved = read_model(type(model), str(folder), dtype=torch.float32)
        model.load_state_dict(saved.state_dict())
    except UNREADABLE as error:
        raise InputError(
            f"the model is not of this policy: {str(error)[:300]}",
            where=str(folder),
            remedy="Check policy.adapter and the base model.",
        ) from error


def trained_parameters(model: nn.Module) -> Sequence[tuple[str, nn.Parameter]]:
    """Names and values of what the optimiser updates."""
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def summary(model: nn.Module) -> dict[str, Any]:
    """Numbers of parameters, all and trained, for the run's record."""
    every = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for _, p in trained_parameters(model))
    return {"parameters": every, "trained": trained}
