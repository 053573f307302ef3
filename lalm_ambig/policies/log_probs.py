"""Log-probabilities of given tokens from hidden states, without all logits of all tokens in memory at once."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lalm_ambig.policies.attention.native_forward import LogitTransform
from lalm_ambig.policies.weights.quantised_base import compute_dtype
from lalm_ambig.policies.weights.sharding import call_as_forward

LOGITS_AT_ONCE = 4_000_000
"""Logits held at a time (16 MB in float32); a chunk has this number over the vocabulary of rows."""


def token_log_probs(
    head: nn.Module,
    hidden: Float[Tensor, "row channel"],
    ids: Int[Tensor, " row"],
    *,
    temperature: float = 1.0,
    transform: LogitTransform | None = None,
) -> Float[Tensor, " row"]:
    r"""Log-probability $\log \mathrm{softmax}(f(z) / T)_y$ of each row's token $y$, in nats, float32.

    A frozen plain head takes one pass over the vocabulary for the value and the gradient with respect to `hidden`.
    Otherwise autograd holds the logits.

    Args:
        head: The output head; $z$ is its product with `hidden`.
        hidden: Hidden state that predicts each token.
        ids: The tokens $y$.
        temperature: $T$.
        transform: $f$, what the model does to its head's product; None for nothing.

    >>> head = nn.Linear(1, 2, bias=False).requires_grad_(False)
    >>> round(token_log_probs(head, torch.zeros(1, 1), torch.tensor([0])).item(), 4)
    -0.6931
    """
    transform = transform or LogitTransform()
    if type(head) is nn.Linear and not len(ids):
        return call_as_forward(head, _no_log_probs, hidden)
    if type(head) is nn.Linear and not any(p.requires_grad for p in head.parameters()):
        return call_as_forward(
            head,
            lambda called, rows, tokens: _OnePass.apply(
                rows, called.weight, called.bias, (tokens, temperature, transform)
            ),
            hidden,
            ids,
        )
    logits = transform(head(hidden).float()) / temperature
    return -nn.functional.cross_entropy(logits, ids, reduction="none")


def _no_log_probs(head: nn.Module, hidden: Float[Tensor, "0 channel"]) -> Float[Tensor, "0"]:
    """The result for no rows, without a product that would copy the whole head under autocast.

    Gradients flow to `hidden` and to a trained head, for which DDP waits. It is called as the head's forward pass,
    since other processes may have rows and ZeRO-3 gathers the head for all at once.
    """
    trained = (0 * p[:1].sum() for p in head.parameters() if p.requires_grad)
    return sum(trained, start=hidden.float().sum(-1))


class _OnePass(torch.autograd.Function):
    r"""Values and gradients in one pass over the vocabulary.

    $\partial \log p_y / \partial h = \sum_v (1[v = y] - p_v) f'(z_v) W_v / T$ is computed while $p$ is in memory.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "token channel"],
        weight: Float[Tensor, "vocabulary channel"],
        bias: Float[Tensor, " vocabulary"] | None,
        settings: tuple[Int[Tensor, " token"], float, LogitTransform],
    ) -> Float[Tensor, " token"]:
        ids, temperature, transform = settings
        needed = ctx.needs_input_grad[0]
        dtype, on_cpu = compute_dtype(hidden), hidden.device.type == "cpu"
        slopes = torch.empty_like(hidden) if needed else None
        values = torch.empty(len(hidden), device=hidden.device)
        rows = max(1, LOGITS_AT_ONCE // weight.shape[0])
        with torch.autocast(hidden.device.type, enabled=False):
            head = weight.to(dtype)
            exact = weight.float() if on_cpu else head  # logits in bfloat16 are up to 0.06 off
            for start in range(0, len(hidden), rows):
                part = slice(start, start + rows)
                logits = (hidden[part].to(exact.dtype) @ exact.T).float()
                logits = transform(logits if bias is None else logits + bias.float())
                derivative = transform.slope(logits) if needed and not transform.is_identity else None
                logits.div_(temperature)
                log_sum = logits.logsumexp(-1)
                values[part] = logits.gather(1, ids[part, None])[:, 0] - log_sum
                if slopes is not None:
                    shares = logits.sub_(log_sum[:, None]).exp_()
                    slopes[part] = (_slopes(shares, ids[part], head, derivative) / temperature).to(
                        hidden.dtype
                    )
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return gradients[0][:, None].to(slopes.dtype) * slopes, None, None, None


def _slopes(shares: Tensor, ids: Tensor, head: Tensor, derivative: Tensor | None) -> Tensor:
    """Σ_v (1[v = y] − p_v) f′(z_v) W_v; `derivative` holds f′(z_v), None if it is 1 everywhere."""
    if derivative is None:
        return head[ids] - shares.to(head.dtype) @ head
    weighted = -shares * derivative
    weighted.scatter_add_(1, ids[:, None], derivative.gather(1, ids[:, None]))
    return weighted.to(head.dtype) @ head


def some_logits(
    head: nn.Module, hidden: Float[Tensor, "*row channel"], token_ids: Int[Tensor, " candidate"]
) -> Float[Tensor, "*row candidate"]:
    """Products of the head for a few tokens, in float32, from these rows of its weight only."""
    weight: Any = head.weight
    bias: Any = head.bias
    with torch.autocast(hidden.device.type, enabled=False):  # which would round the product to bf16
        logits: Tensor = hidden.float() @ weight[token_ids].float().T
        return logits if bias is None else logits + bias[token_ids].float()
