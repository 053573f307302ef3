"""A policy's model without its weights: the shapes and types of all it would load, from its config.json alone."""

from typing import Any

import torch
from huggingface_hub.errors import HfHubHTTPError
from peft import get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from lalm_ambig.errors import InputError
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.checkpoint import UNREADABLE
from lalm_ambig.policies.lora_targets import find_targets


def skeleton(policy: Policy) -> tuple[nn.Module, Any]:
    """The model with its adapter on torch's meta device, what is trained marked as such, and its configuration.

    The policy stays unloaded. InputError in one line where no config.json can be read: no such folder, or a hub that
    cannot be reached.
    """
    assert isinstance(policy, AudioModel | CausalLM)
    source = policy.checkpoint()
    try:
        with torch.device("meta"):
            model, config = _model(policy, source)
    except (*UNREADABLE, HfHubHTTPError) as error:
        raise InputError(
            f"no config.json of a model can be read from {policy.path!r}: {str(error).split(chr(10))[0]}",
            where="policy.path",
            remedy="Give a folder, or a hub id while the hub can be reached.",
        ) from error
    model.requires_grad_(policy.adapter.method == "full")
    if policy.adapter.method == "full":
        return model, config
    decoder = model.model.language_model if isinstance(policy, AudioModel) else model.get_decoder()
    targets = find_targets(model, decoder, policy.adapter.targets, probe=False)
    lora = policy.adapter.config(model, targets, projector=policy.projector_name)
    with torch.device("meta"):
        return get_peft_model(model, lora, low_cpu_mem_usage=True), config


def _model(policy: AudioModel | CausalLM, source: str) -> tuple[Any, Any]:
    if isinstance(policy, AudioModel):
        kind = policy.model_class
        if not kind.config_class.get_config_dict(source)[0]:  # transformers would fall back on its defaults
            raise ValueError("it holds no config.json.")
        config = kind.config_class.from_pretrained(source)
        return kind._from_config(config, dtype=_dtype(policy.dtype_name, config)), config
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    return AutoModelForCausalLM.from_config(config, dtype=_dtype(policy.dtype_name, config)), config


def _dtype(name: str, config: Any) -> torch.dtype:
    """The type that a name stands for; `auto` is the checkpoint's, float32 where that says nothing."""
    found: torch.dtype = (config.dtype or torch.float32) if name == "auto" else getattr(torch, name)
    return found
