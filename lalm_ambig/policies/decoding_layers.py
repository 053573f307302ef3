"""How linear layers compute while responses are sampled: without gradients, so that LoRA costs as little as it can.

Packed, on a CPU in float32 or bfloat16: weights are held once more in oneDNN's blocked layout, through private
operators of torch; where these are missing, plain products take their place. Layers with the same input (q, k and v;
gate and up) are one product. In float32, LoRA is added to the weights. In bfloat16 most of a small update would be
rounded away, so it stays beside them unless merging is asked for. The head is in float32 either way: logits in bfloat16
are up to 0.06 from what they should be. A quantised base is packed from weights that were made whole once.

Separate, elsewhere: A and B are cast once, B is multiplied by its scale once, and A of layers with the same input is
one product. A layer is then at most three launches on a GPU in place of up to eight. In one type the values differ
from PEFT's by rounding only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any

import torch
from jaxtyping import Float
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora_product import JoinedLora
from lalm_ambig.policies.weights.quantised_base import QuantisedLinear, compute_dtype

LINEAR = (nn.Linear, QuantisedLinear)
FEWEST_ROWS = 2
"""With fewer rows a plain product is as fast."""
PACKED_TYPES = (torch.float32, torch.bfloat16)
"""Types in which weights are packed on a CPU."""
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
    layers, kind = _linear_layers(policy), _packed_type(policy, rows)
    try:
        if kind is not None:
            _pack(policy, layers, rows=rows, kind=kind, merge=merge)
        else:
            adapted = [one for one in layers if is_adapted(one)]
            whole = [one for one in adapted if merge and type(one.get_base_layer()) is nn.Linear]
            for layer in whole:
                layer.forward = _merged_later(layer)
            _join(policy, [layer for layer in adapted if layer not in whole])
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _packed_type(policy: Policy, rows: int) -> torch.dtype | None:
    """The type in which packed layers compute here; None where weights are not packed."""
    inputs = policy.embed_ids(torch.zeros(1, 1, dtype=torch.long, device=policy.device))
    kind = compute_dtype(inputs)
    fits = inputs.device.type == "cpu" and rows >= FEWEST_ROWS and kind in PACKED_TYPES
    return kind if fits else None


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


# Packed


def _pack(policy: Policy, layers: list[Any], *, rows: int, kind: torch.dtype, merge: bool) -> None:
    """Give each layer a forward with packed weights."""
    head = policy.base.get_output_embeddings()
    inside = [layer for layer in layers if layer is not head]
    merge = merge or kind == torch.float32
    for group in _groups(policy, inside):
        packed = PackedInput(group, rows=rows, kind=kind, merge=merge)
        for number, layer in enumerate(group):
            layer.forward = packed.of(layer, number)
    if head in layers:
        exact = PackedInput([head], rows=rows, kind=torch.float32, merge=True)
        head.forward = lambda inputs: exact(inputs, 0)


class PackedInput:
    """Layers that are given the same input as one product with packed weights, with LoRA in them or beside them."""

    def __init__(self, layers: Sequence[Any], *, rows: int, kind: torch.dtype, merge: bool) -> None:
        """Args:
        layers: The layers, in the order in which they are called.
        rows: Rows for which the layout is chosen.
        kind: Type in which they compute.
        merge: Whether LoRA is added to the weights.
        """
        self.kind = kind
        self.inputs: Tensor | None = None
        self.outputs: Sequence[Tensor] = ()
        both = [_merged(layer) if merge else _apart(layer) for layer in layers]
        self.widths = [len(weight) for weight, _ in both]
        biases = [torch.zeros(len(weight)) if b is None else b.detach().float() for weight, b in both]
        bias = None if all(b is None for _, b in both) else torch.cat(biases).to(kind)
        self.multiply = _product(torch.cat([weight.to(kind) for weight, _ in both]), bias, rows=rows)
        self.factors = (
            None if merge or not any(map(is_adapted, layers)) else _both_factors(layers, self.widths)
        )

    def __call__(self, inputs: Float[Tensor, "*row input"], number: int) -> Float[Tensor, "*row output"]:
        """The output of one of the layers."""
        if self.inputs is not inputs:
            self.inputs, self.outputs = inputs, self._outputs(inputs)
        output = self.outputs[number]
        if number == len(self.widths) - 1:  # the last of them: nothing need be kept
            self.inputs, self.outputs = None, ()
        return output

    def _outputs(self, inputs: Tensor) -> Sequence[Tensor]:
        with torch.autocast(inputs.device.type, enabled=False):
            rows = inputs.reshape(-1, inputs.shape[-1])
            whole = self.multiply(rows.to(self.kind))
            if self.factors is not None:
                down, up = self.factors
                whole.add_((rows.float() @ down) @ up)
        return torch.split(whole.view(*inputs.shape[:-1], whole.shape[-1]), self.widths, -1)

    def of(self, layer: Any, number: int) -> Callable[[Tensor], Tensor]:
        """The forward of one of the layers: its own where it is called in another type, as some routers are."""
        native = type(layer).forward.__get__(layer)

        def forward(inputs: Float[Tensor, "*row input"]) -> Float[Tensor, "*row output"]:
            output: Tensor = self(inputs, number) if compute_dtype(inputs) == self.kind else native(inputs)
            return output

        return forward


def _both_factors(
    layers: Sequence[Any], widths: Sequence[int]
) -> tuple[Float[Tensor, "input rank"], Float[Tensor, "rank output"]]:
    """A of layers with the same input beside each other, and B below one another with zeros between.

    In float32, in which products as narrow as these take half the time that they take in bfloat16.
    """
    downs, ups = [], []
    for layer, width in zip(layers, widths, strict=True):
        adapted = is_adapted(layer)
        downs.append(_down(layer).float() if adapted else torch.zeros(0, layer.in_features))
        ups.append(_up(layer).float() if adapted else torch.zeros(0, width))
    whole = torch.zeros(sum(map(len, ups)), sum(widths))
    for up, rows, columns in zip(ups, _places(map(len, ups)), _places(widths), strict=True):
        whole[rows, columns] = up
    return torch.cat(downs).T.contiguous(), whole


def _places(lengths: Iterable[int]) -> list[slice]:
    """Slices of parts of these lengths, one after another."""
    ends = list(accumulate(lengths, initial=0))
    return [slice(start, end) for start, end in pairwise(ends)]


def _apart(layer: Any) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a layer without its adapter."""
    base = layer.get_base_layer() if isinstance(layer, LoraLinear) else layer
    return _plain(base), base.bias


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
        self.places = _places(map(len, factors))
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
    for group in _groups(policy, layers):
        joined = JoinedInput(group)
        for number, layer in enumerate(group):
            layer.forward = _adding(layer, joined, number)


def _groups(policy: Policy, layers: list[Any]) -> list[list[Any]]:
    """The layers by their input: those that are given the same one together, each of the others alone."""
    left = {id(layer): layer for layer in layers}
    groups = []
    for parent in policy.language_model.modules():
        for names in SAME_INPUT:
            beside = [getattr(parent, name, None) for name in names]
            group = [layer for layer in beside if layer is not None and id(layer) in left]
            if len(group) > 1:
                groups.append(group)
                for layer in group:
                    del left[id(layer)]
    return [*groups, *([layer] for layer in left.values())]


def _adding(layer: Any, joined: JoinedInput, number: int) -> Callable[[Tensor], Tensor]:
    base, up = layer.get_base_layer(), _up(layer)
    native = type(layer).forward.__get__(layer)
    held, joins = [up], isinstance(layer, JoinedLora)

    def forward(inputs: Float[Tensor, "*row input"]) -> Float[Tensor, "*row output"]:
        kind = compute_dtype(inputs)
        whole = base(inputs)
        if whole.dtype != kind or not (joins or _computes_in(up.dtype, inputs)):
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
