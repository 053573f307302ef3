"""Log-probabilities of given tokens from hidden states, without ever holding all logits of all tokens."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lalm_ambig.policies.attention.native_forward import LogitTransform
from lalm_ambig.policies.weights.sharding import call_as_forward

LOGITS_AT_ONCE = 4_000_000
"""Logits held at a time (16 MB in float32): rows a chunk are this over the vocabulary."""


def token_log_probs(
    head: nn.Module,
    hidden: Float[Tensor, "row channel"],
    ids: Int[Tensor, " row"],
    *,
    temperature: float = 1.0,
    transform: LogitTransform | None = None,
) -> Float[Tensor, " row"]:
    """log softmax(transform(head(hidden)) / temperature) at `ids`, in nats, float32.

    With a frozen plain head one pass over the vocabulary gives the value and the gradient with respect to `hidden`;
    otherwise (a trained head, a wrapped one) the logits are made and kept by autograd.
    """
    transform = transform or LogitTransform()
    plain = type(head) is nn.Linear and not any(p.requires_grad for p in head.parameters())
    if plain and hidden.numel():
        return call_as_forward(
            head,
            lambda own, rows, tokens: _OnePass.apply(
                rows, own.weight, own.bias, (tokens, temperature, transform)
            ),
            hidden,
            ids,
        )
    logits = transform(head(hidden).float()) / temperature
    return -nn.functional.cross_entropy(logits, ids, reduction="none")


class _OnePass(torch.autograd.Function):
    """The derivative of log p(y) with respect to a row h is Σ_v (1[v = y] − p_v) f′(z_v) W_v / T, where logits are f of
    the head's products z: made while p is at hand."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        settings: tuple[Tensor, float, LogitTransform],
    ) -> Tensor:
        ids, temperature, transform = settings
        needed = ctx.needs_input_grad[0]
        dtype = _compute_dtype(hidden)
        slopes = torch.empty_like(hidden) if needed else None
        values = torch.empty(len(hidden), device=hidden.device)
        rows = max(1, LOGITS_AT_ONCE // weight.shape[0])
        with torch.autocast(hidden.device.type, enabled=False):
            head = weight.to(dtype)
            for start in range(0, len(hidden), rows):
                part = slice(start, start + rows)
                logits = (hidden[part].to(dtype) @ head.T).float()
                logits = transform(logits if bias is None else logits + bias.float())
                own = transform.slope(logits) if needed and not transform.is_identity else None
                logits.div_(temperature)
                log_sum = logits.logsumexp(-1)
                values[part] = logits.gather(1, ids[part, None])[:, 0] - log_sum
                if slopes is not None:
                    shares = logits.sub_(log_sum[:, None]).exp_()
                    slopes[part] = (_slopes(shares, ids[part], head, own) / temperature).to(hidden.dtype)
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return gradients[0][:, None].to(slopes.dtype) * slopes, None, None, None


def _slopes(shares: Tensor, ids: Tensor, head: Tensor, own: Tensor | None) -> Tensor:
    """Σ_v (1[v = y] − p_v) f′(z_v) W_v; `own` holds f′(z_v), None where it is 1 everywhere."""
    if own is None:
        return head[ids] - shares.to(head.dtype) @ head
    weighted = -shares * own
    weighted.scatter_add_(1, ids[:, None], own.gather(1, ids[:, None]))
    return weighted.to(head.dtype) @ head


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    """The type that a linear layer would compute in here."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def some_logits(head: nn.Module, hidden: Tensor, token_ids: Tensor) -> Tensor:
    """The head's products for a few tokens, in float32: as many rows of its weight, never the vocabulary."""
    weight: Any = head.weight
    bias: Any = head.bias
    with torch.autocast(hidden.device.type, enabled=False):  # which would round the product to bf16
        logits: Tensor = hidden.float() @ weight[token_ids].float().T
        return logits if bias is None else logits + bias[token_ids].float()
