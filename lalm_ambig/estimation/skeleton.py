"""A policy's model without its weights: the shapes and types of all it would load, from its config.json alone."""

from typing import Any

import torch
from peft import get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.model_kinds import check_audio_model, check_text_model
from lalm_ambig.policies.weights.checkpoint import checkpoint_errors, dtype_to_load
from lalm_ambig.policies.weights.contents import check_contents
from lalm_ambig.policies.weights.lora_targets import find_targets


def skeleton(policy: Policy) -> tuple[nn.Module, Any]:
    """The model with its adapter on torch's meta device, what is trained marked as such, and its configuration.

    The policy stays unloaded. InputError in one line where no config.json can be read: no such folder, or a hub that
    cannot be reached.
    """
    assert isinstance(policy, AudioModel | CausalLM)
    source = policy.checkpoint()
    settings = check_contents(source)
    if not settings:
        raise InputError(
            f"no config.json of a model can be read from {policy.path!r}.",
            where="policy.path",
            remedy="Give a folder, or a hub id while the hub can be reached.",
        )
    with checkpoint_errors("described", source), torch.device("meta"):
        model, config = _model(policy, source, settings)
    model.requires_grad_(policy.adapter.method == "full")
    if policy.adapter.method == "full":
        return model, config
    decoder = model.model.language_model if isinstance(policy, AudioModel) else model.get_decoder()
    targets = find_targets(model, decoder, policy.adapter.targets, probe=False)
    lora = policy.adapter.config(model, targets, projector=policy.projector_name)
    with torch.device("meta"):
        return get_peft_model(model, lora, low_cpu_mem_usage=True), config


def _model(policy: AudioModel | CausalLM, source: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    dtype = dtype_to_load(policy.dtype_name, trained_whole=policy.adapter.method == "full")
    if isinstance(policy, AudioModel):
        kind = policy.model_class
        check_audio_model(source, settings, kind)
        config = kind.config_class.from_pretrained(source)
        return kind._from_config(config, dtype=_dtype(dtype, config)), config
    check_text_model(source, settings)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    return AutoModelForCausalLM.from_config(config, dtype=_dtype(dtype, config)), config


def _dtype(name: str, config: Any) -> torch.dtype:
    """The type that a name stands for; `auto` is the checkpoint's, float32 where that says nothing."""
    found: torch.dtype = (config.dtype or torch.float32) if name == "auto" else getattr(torch, name)
    return found
