"""A quantised base model: the linear layers of its decoder hold four or eight bits per weight, LoRA trains beside them.

As in QLoRA, a weight is made whole for each product and thrown away again, in the backward pass as well. What is
quantised is what can have LoRA: the linear layers of each decoder layer's parts. All else stays as it was loaded:
embeddings, head, norms, routers, fused experts, audio encoder, projector and side path.

1. `nf4`: the 16 values of QLoRA's NormalFloat, scaled per block of 64 weights to the block's largest; 4.5 bits per
   weight. Packing and unpacking are bitsandbytes', so a base that transformers quantises with it has the same weights.
2. `int8`: whole numbers to ±127, scaled per row; 8 bits per weight. Inputs are not rounded, other than in LLM.int8().

The layers of bitsandbytes are not used: on a CPU with AVX512-BF16 its four-bit layer computes in bfloat16 once it was in
evaluation mode, and then passes no gradient on; its eight-bit layer computes one thing in training and another in
evaluation mode. Here both modes, all row lengths and both passes compute with the same weights.
"""

from importlib.util import find_spec
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.layer_kinds import decoder_blocks, moved_to_experts
from lalm_ambig.policies.weights.lora_targets import parts_for_lora

Quantize = Literal["nf4", "int8"]
"""Kind of the base model's quantised weights."""
WHERE = "policy.quantize"
PACKAGE = "bitsandbytes"
INSTALL = 'pip install "lalm_ambig[quantize]" (or: pip install bitsandbytes).'
BLOCK = 64
"""Weights of a row-major matrix that share one scale in `nf4`."""
LARGEST_INT8 = 127
KERNEL_TYPES = (torch.float32, torch.bfloat16, torch.float16)
"""Types in which bitsandbytes unpacks."""


class QuantisedLinear(nn.Linear):
    """A frozen linear layer with quantised weights; gradients pass to its input, and to its bias if that is trained.

    It computes in the type of its input, or in autocast's.
    """

    def __init__(self, plain: nn.Linear, kind: Quantize) -> None:
        """Args:
        plain: The layer whose weights are quantised, where they lie. On the meta device only shapes are made.
        kind: Kind of the quantised weights.
        """
        weight = plain.weight.detach()
        super().__init__(plain.in_features, plain.out_features, bias=False, device="meta")
        self.kind = kind
        packed, scales = _quantise(weight, kind)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.scales = nn.Parameter(scales.view(torch.uint8), requires_grad=False)
        """The scales' bytes: as numbers they would be rounded when the model's type is changed."""
        self.bias = plain.bias
        self.train(plain.training)

    def plain_weight(self, dtype: torch.dtype) -> Float[Tensor, "output input"]:
        """The weights that the layer computes with, in that type."""
        scales = self.scales.view(torch.float32)
        if self.kind == "int8":
            return (self.weight.float() * scales[:, None]).to(dtype)
        unpacked = dtype if dtype in KERNEL_TYPES else torch.float32
        shape = (self.out_features, self.in_features)
        whole: Tensor = _kernels().dequantize_4bit(self.weight, scales, BLOCK, "nf4", shape, unpacked)
        return whole.to(dtype)

    def forward(self, inputs: Float[Tensor, "*row input"]) -> Float[Tensor, "*row output"]:
        product: Tensor = _Product.apply(inputs.to(compute_dtype(inputs)), self)
        return product if self.bias is None else product + self.bias.to(product.dtype)

    def dequantised(self) -> nn.Linear:
        """A plain layer of the same weights in float32."""
        plain = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        plain.weight = nn.Parameter(self.plain_weight(torch.float32), requires_grad=False)
        plain.bias = self.bias
        return plain.train(self.training)


class _Product(torch.autograd.Function):
    """Product with a quantised layer's weights, which are made whole in each pass and kept in neither."""

    @staticmethod
    def forward(ctx: Any, inputs: Float[Tensor, "*row input"], layer: QuantisedLinear) -> Tensor:
        ctx.layer = layer
        with torch.autocast(inputs.device.type, enabled=False):
            return nn.functional.linear(inputs, layer.plain_weight(inputs.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        with torch.autocast(gradients[0].device.type, enabled=False):
            return gradients[0] @ ctx.layer.plain_weight(gradients[0].dtype), None


def compute_dtype(inputs: Tensor) -> torch.dtype:
    """The type in which a linear layer computes here: that of its input, or autocast's."""
    kind = inputs.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype


def quantise(model: Any, decoder: nn.Module, kind: Quantize) -> str:
    """Quantise a model in place, layer by layer, so that no second copy of its weights is held.

    Args:
        model: A model of transformers without adapter, with plain weights on a CPU, a GPU or the meta device.
        decoder: Its language model.
        kind: Kind of the quantised weights.

    Returns:
        A line for the user: number of layers, and their share of the decoder's weights.

    Raises:
        InputError: The package is missing, or the decoder has no layer that can be quantised.
    """
    check_installed(kind)
    decoder = decoder if decoder_blocks(decoder) else model  # a class may call its head the decoder
    every = count_parameters(decoder)
    layers = _plain_layers(model, decoder)
    if not layers:
        raise InputError(
            f"{type(model).__name__} has no plain linear layers in its decoder that could be quantised.",
            where=WHERE,
            remedy="Leave policy.quantize out, or choose another model.",
        )
    done: dict[int, QuantisedLinear] = {}
    for name, layer in layers.items():
        parent, _, leaf = name.rpartition(".")
        quantised = done[id(layer)] if id(layer) in done else QuantisedLinear(layer, kind)
        done[id(layer)] = quantised
        setattr(decoder.get_submodule(parent), leaf, quantised)
    share = sum(layer.in_features * layer.out_features for layer in done.values()) / every
    return f"{kind} base: {len(done)} linear layers, {share:.0%} of the decoder's weights; all others are as loaded"


def _plain_layers(model: Any, decoder: nn.Module) -> dict[str, nn.Linear]:
    """The decoder's layers that are quantised, by name; a layer with several names has an entry for each.

    Those that PEFT reaches by their weight alone are left out, and layers of other classes (GPT-2's `Conv1D`).
    """
    names = [name for part in parts_for_lora(model, decoder).values() for name in part]
    leaves = {name.rpartition(".")[2] for name in names}
    by_weight = {leaf for leaf in leaves if moved_to_experts(model, leaf)}
    named = {name: decoder.get_submodule(name) for name in names if name.rpartition(".")[2] not in by_weight}
    return {name: layer for name, layer in named.items() if type(layer) is nn.Linear}


def dequantise(model: nn.Module) -> None:
    """Replace every quantised layer by a plain one of the same weights in float32, in place."""
    plain: dict[int, nn.Linear] = {}
    for parent in [*model.modules()]:
        for leaf, layer in [*parent.named_children()]:
            if isinstance(layer, QuantisedLinear):
                setattr(parent, leaf, plain.setdefault(id(layer), layer.dequantised()))


def count_parameters(model: nn.Module) -> int:
    """Number of a model's parameters; a quantised weight counts as one, however it is packed."""
    packed = {
        id(held): count
        for layer in model.modules()
        if isinstance(layer, QuantisedLinear)
        for held, count in ((layer.weight, layer.in_features * layer.out_features), (layer.scales, 0))
    }
    return sum(packed.get(id(p), p.numel()) for p in model.parameters())


def check_installed(kind: Quantize) -> None:
    """Refuse `nf4` without the package that packs and unpacks it.

    Raises:
        InputError: It is not installed.
    """
    if kind == "nf4" and find_spec(PACKAGE) is None:
        raise InputError(f"nf4 needs {PACKAGE}, which is not installed.", where=WHERE, remedy=INSTALL)


def check_settings(kind: Quantize | None, *, full: bool) -> None:
    """Refuse to train quantised weights themselves.

    Raises:
        InputError: All weights are to be trained, and they are to be quantised.
    """
    if kind is not None and full:
        raise InputError(
            f"{kind} weights are frozen, and policy.adapter.method is full.",
            where=WHERE,
            remedy="Set policy.adapter.method to lora, or leave policy.quantize out.",
        )


@torch.no_grad()
def _quantise(weight: Tensor, kind: Quantize) -> tuple[Tensor, Float[Tensor, " scale"]]:
    """Packed weights, and scales in float32."""
    if weight.is_meta:
        count = weight.numel()
        packed = torch.empty(weight.shape, dtype=torch.int8, device="meta")
        scales = torch.empty(len(weight) if kind == "int8" else -(-count // BLOCK), device="meta")
        nf4 = torch.empty((count + 1) // 2, 1, dtype=torch.uint8, device="meta")
        return (packed if kind == "int8" else nf4), scales
    if kind == "int8":
        scales = weight.float().abs().amax(1) / LARGEST_INT8
        divisor = scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
        return (weight.float() / divisor).round().to(torch.int8), scales
    return _nf4(weight)


def _nf4(weight: Tensor) -> tuple[UInt8[Tensor, "byte 1"], Float[Tensor, " scale"]]:
    packed, scales = _kernels().quantize_4bit(weight.float().contiguous(), BLOCK, "nf4", torch.uint8)
    return packed, scales


def _kernels() -> Any:
    """bitsandbytes' operators, which its import adds to torch's."""
    import bitsandbytes  # noqa: F401  # an extra

    return torch.ops.bitsandbytes
