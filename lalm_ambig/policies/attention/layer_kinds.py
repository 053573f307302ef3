"""The parts of a decoder by their kind: its layers, linear layers, routers, fused experts, and linear layers on which
an adapter would have no effect.
"""

import inspect
import re
from functools import cache
from typing import Any

from peft import LoraConfig
from peft.tuners.lora import LoraLayer, LoraModel
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.native_forward import ANOTHER

LINEAR = (nn.Linear, Conv1D)
"""Conv1D is GPT-2's linear layer: its weight is transposed."""
ROUTER = re.compile(r"router|gating|topk", re.IGNORECASE)
"""Pattern in names of modules and classes that choose experts."""
EXPERT_COUNTS = re.compile(r"(num|n|moe_num)_(local_|routed_)?experts")
"""Settings with the number of experts that a layer chooses from."""
SENSES = ("embed_tokens_extend",)
"""Modules inside a decoder through which only sound and pictures pass (Phi-4-multimodal's)."""
WEIGHT_READ = r"self\.{name}\.weight\b(?!\.(dtype|device|shape|ndim|data)\b|\[)"
"""Pattern in a class's source: the weight of its layer `name` is used without calling the layer."""


def decoder_layers(decoder: nn.Module, description: str) -> nn.ModuleList:
    """The decoder's list of layers: of all its module lists the one with the most parameters.

    Raises:
        InputError: There is no list; the policy's description is in the message.
    """
    lists = [
        module
        for name, module in decoder.named_modules()
        if isinstance(module, nn.ModuleList) and name.partition(".")[0] not in SENSES
    ]
    if not lists:
        raise InputError(
            f"{description} has no list of layers that could be found.",
            where="policy.path",
            remedy=ANOTHER,
        )
    return max(lists, key=lambda layers: sum(p.numel() for p in layers.parameters()))


def decoder_blocks(decoder: nn.Module) -> dict[str, nn.Module]:
    """The decoder's layers by name, in order: the members of its module lists that are more than a linear layer.

    A list inside a layer (experts) is a part of that layer.
    """
    layers: dict[str, nn.Module] = {}
    for name, module in decoder.named_modules():
        inside = any(name.startswith(f"{block}.") for block in layers)
        if isinstance(module, nn.ModuleList) and not inside and name.partition(".")[0] not in SENSES:
            blocks = {f"{name}.{n}": block for n, block in module.named_children()}
            layers |= {n: block for n, block in blocks.items() if not isinstance(block, LINEAR)}
    return layers


def linear_layers(decoder: nn.Module) -> dict[str, nn.Module]:
    """Linear layers inside the decoder's layers by their name in the decoder, each module once."""
    blocks = tuple(f"{name}." for name in decoder_blocks(decoder))
    named = decoder.named_modules()
    return {name: m for name, m in named if isinstance(m, LINEAR) and name.startswith(blocks)}


def linear_layer_names(block: nn.Module) -> list[str]:
    """Names of a block's linear layers; one inside an adapter has its original name."""
    names: list[str] = []
    for name, module in block.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in names)
        plain = module.get_base_layer() if isinstance(module, LoraLayer) else module
        if isinstance(plain, LINEAR) and not inside:
            names.append(name)
    return names


def no_effect_reason(model: Any, decoder: nn.Module, name: str, *, called: bool) -> str | None:
    """Return why an adapter on a linear layer would have no effect, or is refused; None if it would act.

    Args:
        model: A model of transformers.
        decoder: Its language model.
        name: Name of the layer in the decoder.
        called: Whether a forward pass calls the layer.
    """
    parent, _, leaf = name.rpartition(".")
    classes: list[Any] = [type(decoder.get_submodule(parent)), type(decoder)]
    if _weight_is_read(classes[0], leaf):
        return "its weight is used without calling it"
    if _weight_is_changed(classes[1], f"{parent.rpartition('.')[2]}.{leaf}"):
        return "its class changes its weight between training and evaluation"
    if not called and ".experts." not in name:  # an expert may only not have been chosen
        return "never called"
    try:
        LoraModel._check_target_module_compatiblity(_PLAIN, _PLAIN, model, leaf)
    except ValueError:
        return "PEFT refuses it for this family"
    return None


_PLAIN: Any = LoraConfig()


def moved_to_experts(model: Any, leaf: str) -> bool:
    """Whether PEFT moves an adapter for linear layers of that name to fused experts.

    It does so for families whose experts were layers of that name in transformers 4. The layers that have the name
    today, dense and shared feed-forward parts, would get no adapter.
    """
    config = LoraConfig(target_modules=[leaf])
    try:
        convert_peft_config_for_transformers(config, model, None)
    except ValueError:  # it would want the layers that experts are fused with, too
        return True
    return leaf not in (config.target_modules or ())


def is_router(decoder: nn.Module, name: str, counts: set[int]) -> bool:
    """Whether a layer chooses experts: by a name on its path, or a gate as wide as a mixture has experts."""
    parts = name.split(".")
    modules = [decoder.get_submodule(".".join(parts[: n + 1])) for n in range(2, len(parts))]
    words = [*parts[2:], *(type(module).__name__ for module in modules)]
    if any(ROUTER.search(word) for word in words):
        return True
    layer: Any = modules[-1].get_base_layer() if isinstance(modules[-1], LoraLayer) else modules[-1]
    width = layer.out_features if isinstance(layer, nn.Linear) else layer.nf
    return "gate" in parts[-1] and width in counts


def expert_counts(model: Any) -> set[int]:
    """Numbers of experts in the configuration, and 1, the width of a shared expert's gate; empty if there are none."""
    settings = model.config.get_text_config().to_dict()
    for inner in [value for value in settings.values() if isinstance(value, dict)]:
        settings = inner | settings
    counts = {value for key, value in settings.items() if EXPERT_COUNTS.fullmatch(str(key))}
    counts = {count for count in counts if isinstance(count, int)}
    return {*counts, 1} if any(counts) else set()


@cache
def _weight_is_read(parent: Any, leaf: str) -> bool:
    try:
        source = inspect.getsource(parent)
    except (OSError, TypeError):  # no source at hand
        return False
    return re.search(WEIGHT_READ.format(name=re.escape(leaf)), source) is not None


@cache
def _weight_is_changed(decoder: Any, layer: str) -> bool:
    """Whether the decoder's own code multiplies a layer's weight in place; an adapter beside it stays unchanged."""
    try:
        source = inspect.getsource(decoder)
    except (OSError, TypeError):
        return False
    return re.search(rf"\b{re.escape(layer)}\.weight\.(mul|div)_\(", source) is not None


def fused_experts(decoder: nn.Module, counts: set[int]) -> list[str]:
    """Parameters outside linear layers that hold a matrix per expert: on a third axis, or stacked."""
    blocks = tuple(f"{name}." for name in decoder_blocks(decoder))
    names = []
    for name, parameter in decoder.named_parameters():
        parent = name.rpartition(".")[0]
        if not name.startswith(blocks) or isinstance(decoder.get_submodule(parent), LINEAR):
            continue
        stacked = parameter.ndim == 3 and len(parameter) in counts
        if stacked or (parameter.ndim > 1 and ".experts." in name and counts):
            names.append(name)
    return names
