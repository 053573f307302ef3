"""How linear layers compute while responses are sampled: without gradients, so that LoRA costs as little as it can.

Merged: LoRA is added to the weights once, and a layer is one product. So it is in float32 on a CPU, there in oneDNN's
blocked layout, through private operators of torch; where these are missing, merged weights are used as they are. In
bfloat16 most of a small update would be rounded away, so it is merged there only if that is asked for. A quantised base
is merged only on a CPU, from weights that were made whole once.

Separate: A and B are cast once, B is multiplied by its scale once, and A of layers with the same input (q, k and v;
gate and up) is one product. A layer is then at most three launches on a GPU in place of up to eight. In one type the
values differ from PEFT's by rounding only.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.quantised_base import QuantisedLinear, compute_dtype

LINEAR = (nn.Linear, QuantisedLinear)
FEWEST_ROWS = 2
"""With fewer rows a plain product is as fast."""
SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names of layers beside each other that are given the same input."""


@contextmanager
def decoding_layers(policy: Policy, *, rows: int, merge: bool = False) -> Iterator[None]:
    """Inside, the decoder's linear layers and its head compute as said above; without gradients.

    Args:
        policy: Its adapter must not be trained, switched off or saved inside.
        rows: Rows per decode step, for which the layout is chosen.
        merge: Merge the adapter also where that rounds it. It takes the memory of the weights once more.
    """
    blocked = _in_blocks(policy, rows)
    layers = _linear_layers(policy) if blocked else [one for one in _linear_layers(policy) if is_adapted(one)]
    try:
        if blocked:
            for layer in layers:
                layer.forward = _product(*_merged(layer), rows=rows)
        else:
            whole = [one for one in layers if merge and type(one.get_base_layer()) is nn.Linear]
            for layer in whole:
                layer.forward = _merged_later(layer)
            _join(policy, [layer for layer in layers if layer not in whole])
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _in_blocks(policy: Policy, rows: int) -> bool:
    weight = policy.embed_ids(torch.zeros(1, 1, dtype=torch.long, device=policy.device))
    on_cpu = weight.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return on_cpu and weight.dtype == torch.float32 and rows >= FEWEST_ROWS


def is_adapted(layer: Any) -> bool:
    """Whether a layer has an adapter that is switched on."""
    return isinstance(layer, LoraLinear) and not layer.disable_adapters and bool(_active(layer))


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
    return not any(name in layer.lora_variant or layer.lora_bias[name] for name in _active(layer))


def _active(layer: Any) -> list[str]:
    return [name for name in layer.active_adapters if name in layer.lora_A]


# Merged


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


def _merged_later(layer: Any) -> Callable[[Tensor], Tensor]:
    """The product with a weight that is merged at the first input, in the type in which the layer then computes."""
    weight, bias = _merged(layer)
    held = [weight]

    def forward(inputs: Float[Tensor, "*row input"]) -> Float[Tensor, "*row output"]:
        if held[0].dtype != (kind := compute_dtype(inputs)):
            held[0] = held[0].to(kind)
        return nn.functional.linear(inputs, held[0], bias)

    return forward


# Separate


class JoinedInput:
    """A of several layers that are given the same input, as one product for all of them."""

    def __init__(self, layers: list[Any]) -> None:
        factors = [_down(layer) for layer in layers]
        ends = torch.tensor([len(factor) for factor in factors]).cumsum(0).tolist()
        self.places = [slice(end - len(factor), end) for end, factor in zip(ends, factors, strict=True)]
        self.down = torch.cat(factors)
        """[rank, input], the layers' ranks after one another."""
        self.inputs: Tensor | None = None
        self.narrow: Tensor | None = None

    def __call__(self, inputs: Float[Tensor, "*row input"], number: int) -> Float[Tensor, "row rank"]:
        """The product of an input with A of one of the layers."""
        if self.inputs is not inputs or self.narrow is None:
            if self.down.dtype != (kind := compute_dtype(inputs)):
                self.down = self.down.to(kind)
            self.inputs = inputs
            self.narrow = nn.functional.linear(inputs.reshape(-1, inputs.shape[-1]), self.down)
        narrow = self.narrow[:, self.places[number]]
        if number == len(self.places) - 1:  # the last of them: the input need not be kept
            self.inputs = self.narrow = None
        return narrow


def _join(policy: Policy, layers: list[Any]) -> None:
    """Give each layer a forward that adds B·A to its base's product in one launch."""
    left = {id(layer): layer for layer in layers}
    for parent in policy.language_model.modules():
        for names in SAME_INPUT:
            beside = [getattr(parent, name, None) for name in names]
            group = [layer for layer in beside if layer is not None and id(layer) in left]
            if len(group) > 1:
                _set_forwards(group)
                for layer in group:
                    del left[id(layer)]
    for layer in left.values():
        _set_forwards([layer])


def _set_forwards(group: list[Any]) -> None:
    joined = JoinedInput(group)
    for number, layer in enumerate(group):
        layer.forward = _adding(layer, joined, number)


def _adding(layer: Any, joined: JoinedInput, number: int) -> Callable[[Tensor], Tensor]:
    base, up = layer.get_base_layer(), _up(layer)
    native = type(layer).forward.__get__(layer)
    held = [up]

    def forward(inputs: Float[Tensor, "*row input"]) -> Float[Tensor, "*row output"]:
        kind = compute_dtype(inputs)
        whole = base(inputs)
        if whole.dtype != kind or not _computes_in(up.dtype, inputs):
            computed: Tensor = native(inputs)
            return computed
        if held[0].dtype != kind:
            held[0] = held[0].to(kind)
        narrow = joined(inputs, number)
        added: Tensor = torch.addmm(whole.reshape(-1, whole.shape[-1]), narrow, held[0])
        return added.view(whole.shape)

    return forward


def _computes_in(dtype: torch.dtype, inputs: Tensor) -> bool:
    """Whether PEFT computes the adapter in the input's type here: under autocast, or where their types are the same."""
    return torch.is_autocast_enabled(inputs.device.type) or dtype == inputs.dtype


def _down(layer: Any) -> Float[Tensor, "rank input"]:
    return torch.cat([layer.lora_A[name].weight.detach() for name in _active(layer)])


def _up(layer: Any) -> Float[Tensor, "rank output"]:
    """B, transposed and with its scale."""
    active = _active(layer)
    return torch.cat([layer.lora_B[name].weight.detach().T * layer.scaling[name] for name in active])
