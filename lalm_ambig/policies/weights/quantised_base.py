"""A quantised base model: the linear layers of its decoder hold four or eight bits per weight, LoRA trains beside them.

As in QLoRA, a weight is made whole for each product and thrown away again, in the backward pass as well. What is
quantised is what can have LoRA: the linear layers of each decoder layer's parts. All else stays as it was loaded:
embeddings, head, norms, routers, fused experts, audio encoder, projector and side path.

1. `nf4`: the 16 values of QLoRA's NormalFloat (Dettmers et al. 2023, App. E), scaled per block of 64 weights to the
   block's largest; 4.5 bits per weight. A base that transformers quantises with bitsandbytes has the same weights. On a
   GPU its kernel unpacks them, where it is installed; elsewhere torch's own operators do.
2. `int8`: whole numbers to ±127, scaled per row; 8 bits per weight. Inputs are not rounded, other than in LLM.int8().

Its layers are not used. On a CPU with AVX512-BF16 its four-bit layer computes in bfloat16 once it was
in evaluation mode, and then passes no gradient on. Its eight-bit layer computes one thing in training and another in
evaluation mode. Here both modes, all row lengths and both passes compute with the same weights.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, TypeGuard

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.layer_kinds import decoder_blocks, moved_to_experts
from lalm_ambig.policies.weights.lora_targets import parts_for_lora

Quantize = Literal["nf4", "int8"]
"""Kind of the base model's quantised weights."""
WHERE = "policy.quantize"
PACKAGE = "bitsandbytes"
INSTALL = 'pip install "lalm_ambig[quantize]" (or: pip install bitsandbytes).'
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
    *(
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ),
)
"""The 16 values of NormalFloat."""
BLOCK = 64
"""Weights of a row-major matrix that share one scale in `nf4`."""
LARGEST_INT8 = 127
KERNEL_TYPES = (torch.float32, torch.bfloat16, torch.float16)
"""Types in which bitsandbytes unpacks."""


class QuantisedLinear(nn.Linear):
    """A frozen linear layer with quantised weights; gradients pass to its input, and to its bias if that is trained.

    It computes in the type of its input, or in autocast's.
    """

    def __init__(self, plain: nn.Linear, kind: Quantize, packed: tuple[nn.Parameter, nn.Parameter]) -> None:
        """Args:
        plain: The layer whose place it takes.
        kind: Kind of the quantised weights.
        packed: The layer's packed weights and the bytes of their scales (see `pack`).
        """
        super().__init__(plain.in_features, plain.out_features, bias=False, device="meta")
        self.kind = kind
        self.weight, self.scales = packed
        self.bias = plain.bias
        self.train(plain.training)

    def plain_weight(self, dtype: torch.dtype) -> Float[Tensor, "output input"]:
        """The weights that the layer computes with, in that type."""
        scales = self.scales.view(torch.float32)
        if self.kind == "int8":
            return (self.weight.float() * scales[:, None]).to(dtype)
        shape = (self.out_features, self.in_features)
        if self.weight.is_cuda and dtype in KERNEL_TYPES and (kernels := _kernels()) is not None:
            whole: Tensor = kernels.dequantize_4bit(self.weight, scales, BLOCK, "nf4", shape, dtype)
            return whole
        return _unpacked_nf4(self.weight, scales, shape).to(dtype)

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


def quantise(model: Any, decoder: nn.Module, kind: Quantize, device: torch.device | str | None = None) -> str:
    """Quantise a model in place, layer by layer, so that no second copy of its weights is held.

    Args:
        model: A model of transformers without adapter, with plain weights on a CPU, a GPU or the meta device.
        decoder: Its language model.
        kind: Kind of the quantised weights.
        device: Where weights are packed and stay, one after the other; by default where they are. All else stays.

    Returns:
        A line for the user: number of layers, and their share of the decoder's weights.

    Raises:
        InputError: The decoder has no layer that can be quantised.
    """
    decoder = decoder if decoder_blocks(decoder) else model  # a class may call its head the decoder
    every = count_parameters(decoder)
    layers = _plain_layers(model, decoder)
    if not layers:
        raise InputError(
            f"{type(model).__name__} has no plain linear layers in its decoder that could be quantised.",
            where=WHERE,
            remedy="Leave policy.quantize out, or choose another model.",
        )
    count, weights = len(layers), 0
    by_weight: dict[int, list[tuple[str, nn.Linear]]] = {}
    for name, layer in layers.items():
        by_weight.setdefault(id(layer.weight), []).append((name, layer))
    layers.clear()
    while by_weight:  # each plain weight is freed before the next is packed
        _, sharing = by_weight.popitem()
        weights += sharing[0][1].weight.numel()
        packed = pack(sharing[0][1].weight.detach().to(device), kind)
        _exchange(decoder, sharing, kind, packed)
        del sharing
    share = weights / every
    return (
        f"{kind} base: {count} linear layers, {share:.0%} of the decoder's weights; all others are as loaded"
    )


def _exchange(
    decoder: nn.Module,
    sharing: list[tuple[str, nn.Linear]],
    kind: Quantize,
    packed: tuple[nn.Parameter, nn.Parameter],
) -> None:
    """Put quantised layers in the place of plain ones that share one weight; a layer with two names stays one layer."""
    quantised: dict[int, QuantisedLinear] = {}
    for name, layer in sharing:
        parent, _, leaf = name.rpartition(".")
        new = quantised.setdefault(id(layer), QuantisedLinear(layer, kind, packed))
        setattr(decoder.get_submodule(parent), leaf, new)


def _plain_layers(model: Any, decoder: nn.Module) -> dict[str, nn.Linear]:
    """The decoder's layers that are quantised, by name; a layer with several names has an entry for each.

    Left out are those that PEFT reaches by their weight alone, and layers of other classes (GPT-2's `Conv1D`).
    """
    names = [name for part in parts_for_lora(model, decoder).values() for name in part]
    leaves = {name.rpartition(".")[2] for name in names}
    by_weight = {leaf for leaf in leaves if moved_to_experts(model, leaf)}
    named = {name: decoder.get_submodule(name) for name in names if name.rpartition(".")[2] not in by_weight}
    return {name: layer for name, layer in named.items() if _is_plain(layer)}


def _is_plain(layer: nn.Module) -> TypeGuard[nn.Linear]:
    return type(layer) is nn.Linear


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


def speed_note(kind: Quantize) -> str | None:
    """Return a line for a machine with a GPU and without the kernel that unpacks `nf4` there; None for any other."""
    if kind == "int8" or not torch.cuda.is_available() or find_spec(PACKAGE) is not None:
        return None
    return f"nf4 is unpacked without a kernel of its own, and slower: {INSTALL}"


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
def pack(weight: Tensor, kind: Quantize) -> tuple[nn.Parameter, nn.Parameter]:
    """Quantise a weight where it lies; on the meta device only shapes are made.

    Args:
        weight: A matrix of any floating type, [output, input].
        kind: Kind of the quantised weights.

    Returns:
        The packed weight, and its scales in float32 as bytes: as numbers they would be rounded when the model's type is
        changed.
    """
    packed, scales = _int8(weight.float()) if kind == "int8" else _nf4(weight)
    return tuple(nn.Parameter(part, requires_grad=False) for part in (packed, scales.view(torch.uint8)))  # type: ignore[return-value]


def _int8(weight: Float[Tensor, "output input"]) -> tuple[Int8[Tensor, "output input"], Tensor]:
    scales = weight.abs().amax(1) / LARGEST_INT8
    divisor = scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return (weight / divisor).round().to(torch.int8), scales


def _nf4(weight: Float[Tensor, "output input"]) -> tuple[UInt8[Tensor, "byte 1"], Float[Tensor, " block"]]:
    """Packed weights, the first of two in the upper half of a byte, and the largest of each block."""
    count, blocks = weight.numel(), -(-weight.numel() // BLOCK)
    if weight.is_meta:
        return weight.new_empty((count + 1) // 2, 1, dtype=torch.uint8), weight.new_empty(
            blocks, dtype=torch.float32
        )
    rows = nn.functional.pad(weight.float().flatten(), (0, blocks * BLOCK - count)).view(blocks, BLOCK)
    scales = rows.abs().amax(1)
    values = torch.tensor(NF4, device=weight.device)
    borders = (values[1:] + values[:-1]) / 2
    codes = torch.bucketize(rows / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None], borders)
    pairs = codes.to(torch.uint8).view(-1, 2)[: (count + 1) // 2]
    return (pairs[:, :1] << 4) | pairs[:, 1:], scales


def _unpacked_nf4(
    packed: UInt8[Tensor, "byte 1"], scales: Float[Tensor, " block"], shape: tuple[int, int]
) -> Float[Tensor, "output input"]:
    """The weights in float32."""
    whole = _pairs(packed.device).index_select(0, packed[:, 0].int()).flatten()
    count = shape[0] * shape[1]
    rows = nn.functional.pad(whole, (0, len(scales) * BLOCK - len(whole))).view(len(scales), BLOCK)
    return (rows * scales[:, None]).flatten()[:count].view(shape)


@cache
def _pairs(device: torch.device) -> Float[Tensor, "256 2"]:
    """The two values of every byte, kept on each device: layers read them in every pass."""
    values = torch.tensor(NF4)
    return torch.cartesian_prod(values, values).to(device)


@cache
def _kernels() -> Any:
    """Operators of bitsandbytes, which its import adds to torch's; None where it is not installed."""
    if find_spec(PACKAGE) is None:
        return None
    import bitsandbytes  # noqa: F401  # an extra

    return torch.ops.bitsandbytes
