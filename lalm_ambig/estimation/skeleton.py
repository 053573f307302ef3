"""A policy's model without its weights: the shapes and types of all it would load, from its config.json alone."""

from typing import Any

import torch
from peft import get_peft_model
from torch import nn

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora_targets import find_targets


def skeleton(policy: Policy) -> tuple[nn.Module, Any]:
    """The model with its adapter on torch's meta device, and its configuration; the policy stays unloaded.

    Returns:
        The model, in which trained parameters require gradients, and its transformers configuration.

    Raises:
        InputError: No config.json can be read: there is no such folder, or the hub cannot be reached.
    """
    model, decoder, config = policy.on_meta()
    model.requires_grad_(policy.adapter.method == "full")
    if policy.adapter.method == "full":
        return model, config
    targets = find_targets(model, decoder, policy.adapter.targets, probe=False)
    lora = policy.adapter.config(model, targets, beside=policy.beside)
    with torch.device("meta"):
        return get_peft_model(model, lora, low_cpu_mem_usage=True), config
