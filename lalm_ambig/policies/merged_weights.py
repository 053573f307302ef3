"""Decoding with LoRA merged into the weights, on a CPU in oneDNN's blocked layout: fewer and faster products per step.

Only in float32: merged into bfloat16 weights, most of a small update would be rounded away. The values differ from the
unmerged ones by rounding only. The blocked layout goes through private operators of torch; where they are missing, the
merged weights are used as they are. A quantised base is decoded the same way, from weights that were made whole once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.quantised_base import QuantisedLinear

LINEAR = (nn.Linear, QuantisedLinear)
FEWEST_ROWS = 2
"""With fewer rows a plain product is as fast."""


@contextmanager
def merged_for_decoding(policy: Policy, *, rows: int) -> Iterator[None]:
    """Inside, every linear layer of the decoder and its head is one product; without gradients.

    Args:
        policy: Its adapter must not be trained, switched off or saved inside.
        rows: Rows per decode step, for which the layout is chosen.
    """
    if not _worthwhile(policy, rows):
        yield
        return
    layers = _linear_layers(policy)
    try:
        for layer in layers:
            layer.forward = _product(*_merged(layer), rows=rows)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _worthwhile(policy: Policy, rows: int) -> bool:
    weight = policy.embed_ids(torch.zeros(1, 1, dtype=torch.long, device=policy.device))
    on_cpu = weight.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return on_cpu and weight.dtype == torch.float32 and rows >= FEWEST_ROWS


def _linear_layers(policy: Policy) -> list[Any]:
    """The decoder's linear layers and the head; a LoRA layer represents the layer inside it.

    Layers of other classes are left out, and LoRA that is more than a term added to a weight (DoRA, a bias of B).
    """
    every = [*policy.language_model.modules(), policy.base.get_output_embeddings()]
    lora = [layer for layer in every if isinstance(layer, LoraLayer)]
    inside = {id(part) for layer in lora for part in layer.modules()}
    alone = [layer for layer in every if type(layer) in LINEAR and id(layer) not in inside]
    return [layer for layer in lora if _is_a_sum(layer)] + alone


def _is_a_sum(layer: Any) -> bool:
    """Whether a LoRA layer only adds B·A to the weight of a plain linear layer."""
    if not isinstance(layer, LoraLinear) or type(layer.get_base_layer()) not in LINEAR:
        return False
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    return not any(name in layer.lora_variant or layer.lora_bias[name] for name in active)


def _merged(layer: Any) -> tuple[Tensor, Tensor | None]:
    """Weight, with the active adapters added, and bias of a layer."""
    if not isinstance(layer, LoraLinear):
        return _plain(layer), layer.bias
    base: Any = layer.get_base_layer()
    weight = _plain(base)
    if not layer.disable_adapters:
        for name in layer.active_adapters:
            weight = weight + layer.get_delta_weight(name).detach().to(weight.dtype)
    return weight, base.bias


def _plain(layer: Any) -> Tensor:
    """The weight that a linear layer computes with."""
    return layer.plain_weight(torch.float32) if isinstance(layer, QuantisedLinear) else layer.weight.detach()


def _product(weight: Tensor, bias: Tensor | None, *, rows: int) -> Callable[[Tensor], Tensor]:
    try:
        blocked = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        multiply = torch.ops.mkldnn._linear_pointwise
    except (AttributeError, RuntimeError):
        return lambda inputs: nn.functional.linear(inputs, weight, bias)
    return lambda inputs: multiply(inputs, blocked, bias, "none", [], "")
