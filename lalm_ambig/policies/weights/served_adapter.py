"""A policy's LoRA adapter as a server of another program loads it: PEFT's two files, with nothing beside the matrices.

What is trained of the way of sound is left out (audio tower, projector, side path). A server that is given text does
not need it, and for sound it is given embeddings, which the policy computes itself.
"""

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import save_file

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import new_folder, write_text
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.saved_adapter import SETTINGS, WEIGHTS

ALONE = "Leave model.engine out."
WRAPPED = "base_model.model."
"""How the names of a model's modules begin inside PEFT's wrapper."""
UNSERVED = ("use_dora", "lora_bias", "rank_pattern", "alpha_pattern", "target_parameters")
"""Settings of PEFT by which an adapter is more than one pair of matrices per layer, of one rank and scale."""


def check_served(policy: Policy) -> None:
    """Refuse a policy whose weights a server cannot be given as a LoRA adapter.

    Args:
        policy: The loaded policy.

    Raises:
        InputError: It is fully fine-tuned, quantised, or its adapter is more than LoRA on linear layers of the decoder;
            or the checkpoint's own LoRA is in its weights, or its decoder needs token ids beside embeddings.
    """
    if not isinstance(policy.model, PeftModel):
        raise InputError(
            "a server is given LoRA adapters, and policy.adapter.method is full:",
            where="model.engine",
            remedy="set it to lora, or leave model.engine out.",
        )
    if policy.quantize:
        raise InputError(
            f"policy.quantize is {policy.quantize}, in a packing of this project that no server computes with:",
            where="model.engine",
            remedy="leave policy.quantize out, or model.engine.",
        )
    if policy.own_lora is not None:
        raise InputError(
            "LoRA of the checkpoint's own is merged into the policy's weights, and a server has it beside them or not:",
            where="model.engine",
            remedy="leave model.engine out, or give the merged model as policy.path and serve that.",
        )
    if policy.takes_ids:
        raise InputError(
            "a server is given sound as embeddings, and this decoder needs the token ids, too.",
            where="model.engine",
            remedy=ALONE,
        )
    config = _settings(policy)
    unusual = [name for name in UNSERVED if getattr(config, name, None)]
    unusual += [] if config.bias == "none" else [f"bias: {config.bias}"]
    if unusual:
        raise InputError(f"a server takes no adapter with {unusual[0]}.", where="model.engine", remedy=ALONE)


def write_served_adapter(policy: Policy, folder: Path) -> Path:
    """Write the adapter's matrices as they are, in a folder that appears whole.

    Args:
        policy: A policy that `check_served` has passed, with undivided weights.
        folder: The folder to make.

    Returns:
        Its path, absolute.
    """
    config, ending = _settings(policy), f".{policy.model.active_adapter}.weight"
    weights = {  # not from `state_dict`, for which FSDP2 divides the weights again
        name.removesuffix(ending) + ".weight": value.detach().to("cpu", torch.float32).contiguous()
        for name, value in policy.model.named_parameters()
        if ".lora_" in name and not policy.beside.in_tower(name)
    }
    layers = sorted({name.partition(".lora_")[0].removeprefix(WRAPPED) for name in weights})
    settings: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": config.r,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": 0.0,
        "use_rslora": bool(config.use_rslora),
        "fan_in_fan_out": bool(config.fan_in_fan_out),
        "bias": "none",
        "target_modules": layers,
        "modules_to_save": None,
        "inference_mode": True,
    }
    with new_folder(folder) as unfinished:
        save_file(weights, unfinished / WEIGHTS)
        write_text(unfinished / SETTINGS, json.dumps(settings, indent=2) + "\n")
    return folder.absolute()


def _settings(policy: Policy) -> LoraConfig:
    config = policy.model.peft_config[policy.model.active_adapter]
    assert isinstance(config, LoraConfig)
    return config
