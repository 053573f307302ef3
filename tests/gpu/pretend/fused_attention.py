"""Attention on the pretend accelerator that keeps what CUDA's fused kernels keep: no matrix of all pairs of tokens.

torch would otherwise compute it there in plain products, whose shares [head, query, key] autograd holds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

PLAIN = torch.nn.functional.scaled_dot_product_attention


class Fused(torch.autograd.Function):
    """Queries, keys, values and the output are kept, and one number per query and head."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, settings: dict[str, Any]
    ) -> Tensor:
        with torch.no_grad():
            out = _on_the_cpu(query, key, value, mask, settings)
        ctx.settings = settings
        ctx.save_for_backward(
            query, key, value, mask, out, out.new_empty(out.shape[:-1], dtype=torch.float32)
        )
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, _, _ = ctx.saved_tensors
        inputs = [one.detach().cpu().requires_grad_() for one in (query, key, value)]
        with torch.enable_grad():
            out = PLAIN(*inputs, attn_mask=None if mask is None else mask.cpu(), **ctx.settings)
        found = torch.autograd.grad(out, inputs, gradients[0].cpu())
        return (*(one.to(query.device) for one in found), None, None)


def _on_the_cpu(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, settings: dict[str, Any]
) -> Tensor:
    mask = None if mask is None else mask.cpu()
    return PLAIN(query.cpu(), key.cpu(), value.cpu(), attn_mask=mask, **settings).to(query.device)


def attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, **settings: Any) -> Tensor:
    """As torch's own function."""
    if isinstance(attn_mask, torch.nn.attention.bias.CausalBias):
        attn_mask = attn_mask._materialize(query.device)
    return Fused.apply(query, key, value, attn_mask, settings)


@contextmanager
def fused_attention(*modules: Any) -> Iterator[None]:
    """Inside, these modules' `attention` and torch's own function keep what CUDA's kernels keep."""
    torch.nn.functional.scaled_dot_product_attention = attention
    for module in modules:
        module.attention = attention
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = PLAIN
        for module in modules:
            module.attention = PLAIN
