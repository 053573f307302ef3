"""Log-probabilities of given tokens from hidden states, without ever holding all logits of all tokens."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lalm_ambig.policies.sharding import through

LOGITS_AT_ONCE = 4_000_000
"""Logits held at a time (16 MB in float32): rows a chunk are this over the vocabulary."""


def token_log_probs(
    head: nn.Module,
    hidden: Float[Tensor, "row channel"],
    ids: Int[Tensor, "row"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "row"]:
    """log softmax(head(hidden) / temperature) at `ids`, in nats, float32.

    With a frozen plain head one pass over the vocabulary gives the value and the gradient with respect to `hidden`;
    otherwise (a trained head, a wrapped one) the logits are made and kept by autograd.
    """
    plain = type(head) is nn.Linear and not head.weight.requires_grad and getattr(head, "bias", None) is None
    if plain and hidden.numel():
        return through(
            head, lambda own, rows, tokens: _OnePass.apply(rows, own.weight, tokens, temperature), hidden, ids
        )
    logits = head(hidden).float() / temperature
    return -nn.functional.cross_entropy(logits, ids, reduction="none")


class _OnePass(torch.autograd.Function):
    """The derivative of log p(y) with respect to a row h is (W_y − Σ_v p_v W_v) / T: made while p is at hand."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, ids: Tensor, temperature: float) -> Tensor:
        needed = ctx.needs_input_grad[0]
        dtype = _compute_dtype(hidden)
        slopes = torch.empty_like(hidden) if needed else None
        values = torch.empty(len(hidden), device=hidden.device)
        rows = max(1, LOGITS_AT_ONCE // weight.shape[0])
        with torch.autocast(hidden.device.type, enabled=False):
            head = weight.to(dtype)
            for start in range(0, len(hidden), rows):
                part = slice(start, start + rows)
                logits = (hidden[part].to(dtype) @ head.T).float().div_(temperature)
                log_sum = logits.logsumexp(-1)
                values[part] = logits.gather(1, ids[part, None])[:, 0] - log_sum
                if slopes is not None:
                    shares = logits.sub_(log_sum[:, None]).exp_()
                    mean = shares.to(dtype) @ head
                    slopes[part] = ((head[ids[part]] - mean) / temperature).to(hidden.dtype)
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return gradients[0][:, None].to(slopes.dtype) * slopes, None, None, None


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    """The type that a linear layer would compute in here."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
