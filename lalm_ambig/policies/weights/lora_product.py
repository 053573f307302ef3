"""One product for a linear layer and its LoRA: the sum is formed in place, in the type in which the layer computes.

PEFT computes $W x$, $A x$, $B A x$, its scaling and the sum one after another, three of them as wide as the output, and
so do their backward passes; beside a base in bfloat16 it does so in float32. Here the forward pass is three products,
of which the last adds to the first, and the backward pass five. A and B stay in their own type, and their gradients
come in it.
"""

from typing import Any

import torch
from jaxtyping import Float
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lalm_ambig.policies.weights.quantised_base import compute_dtype


class JoinedLora(LoraLinear):
    """PEFT's LoRA layer with a joint product where LoRA is a plain term; otherwise PEFT's own forward."""

    def forward(self, x: Float[Tensor, "*row input"], *args: Any, **settings: Any) -> Tensor:
        name = None if args or settings else self._joined_adapter(x)
        if name is None:
            plain: Tensor = super().forward(x, *args, **settings)
            return plain
        base: Any = self.get_base_layer()
        down: Any = self.lora_A[name]
        up: Any = self.lora_B[name]
        joined: Tensor = _Joined.apply(x, base.weight, base.bias, down.weight, up.weight, self.scaling[name])
        return joined

    def _joined_adapter(self, inputs: Tensor) -> str | None:
        """The one adapter that acts here; None where PEFT's forward is needed.

        That is so for several adapters or none, DoRA and others, biases of B, merged weights, dropout, and weights that
        a strategy gathers for each call of their own module.
        """
        active = (
            [] if self.disable_adapters else [name for name in self.active_adapters if name in self.lora_A]
        )
        if len(active) != 1 or self.merged:
            return None
        [name] = active
        base: Any = self.get_base_layer()
        plain = name not in self.lora_variant and not self.lora_bias[name] and not self.fan_in_fan_out
        drops = self.training and not isinstance(self.lora_dropout[name], nn.Identity)
        held = base.weight.numel() and not (base.weight.requires_grad or hasattr(base.weight, "ds_id"))
        return name if plain and not drops and held and inputs.numel() else None


def join_products(model: nn.Module) -> None:
    """Give a model's LoRA layers the joint product where they stand on plain linear layers.

    Args:
        model: A model with or without adapter.
    """
    lora: list[Any] = [module for module in model.modules() if type(module) is LoraLinear]
    for module in lora:
        if type(module.get_base_layer()) is nn.Linear:
            module.__class__ = JoinedLora


class _Joined(torch.autograd.Function):
    r"""$W x + b + s B A x$ with gradients for $x$, $A$ and $B$; $W$ and $b$ are frozen."""

    @staticmethod
    def forward(  # noqa: PLR0913  # autograd's form
        ctx: Any,
        inputs: Float[Tensor, "*row input"],
        weight: Float[Tensor, "output input"],
        bias: Float[Tensor, " output"] | None,
        down: Float[Tensor, "rank input"],
        up: Float[Tensor, "output rank"],
        scale: float,
    ) -> Float[Tensor, "*row output"]:
        kind = compute_dtype(inputs)
        ctx.scale, ctx.kind, ctx.shape, ctx.dtype = scale, kind, inputs.shape, inputs.dtype
        with torch.autocast(inputs.device.type, enabled=False):
            given = inputs.to(kind)
            # In the input's own shape, as the base layer computes: an adapter of zeros must change nothing, not even
            # the rounding of a product.
            whole = nn.functional.linear(given, weight.to(kind), None if bias is None else bias.to(kind))
            whole, rows = whole.contiguous(), given.reshape(-1, inputs.shape[-1])
            narrow = rows @ down.to(kind).T
            whole.view(-1, weight.shape[0]).addmm_(narrow, up.to(kind).T, alpha=scale)
        ctx.save_for_backward(rows, narrow, weight, down, up)
        return whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, narrow, weight, down, up = ctx.saved_tensors
        kind, scale = ctx.kind, ctx.scale
        with torch.autocast(rows.device.type, enabled=False):
            slope = gradients[0].reshape(-1, weight.shape[0]).to(kind)
            through = (slope @ up.to(kind)).mul_(scale)
            down_slope = (through.T @ rows).to(down.dtype)
            up_slope = (slope.T @ narrow).to(up.dtype).mul_(scale)
            if not ctx.needs_input_grad[0]:
                return None, None, None, down_slope, up_slope, None
            back = (slope @ weight.to(kind)).addmm_(through, down.to(kind))
        return back.view(ctx.shape).to(ctx.dtype), None, None, down_slope, up_slope, None
