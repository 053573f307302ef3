"""Whether an engine computes what the policy computes: both say how likely the same tokens are."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.items import Item
from lalm_ambig.core.types import Batch, Tokens
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.passages import PassSettings, ScoredSpan, score_spans

PROBE = "Two people hear the same voice. Say in one sentence how it may sound to each of them."
PROBE_TOKENS = 24
"""Tokens of the response that is compared."""
MOST_MISMATCH = 0.3
"""Largest mean |difference| in nats that rounding explains: 0.035 was measured with a 135 M model in bfloat16."""
LEAST_MISMATCH = 0.1
"""What is allowed after an update, however well engine and policy agreed before; in nats."""
MOVED = 0.01
"""A change of the policy's own log-probabilities in nats that no rounding hides."""


def probe_batch(policy: Policy) -> Batch:
    """One item that asks for a sentence, on the policy's device."""
    ids = torch.tensor([policy.prompt_ids([{"type": "text", "text": PROBE}])])
    item = Item("probe", (1.0, 1.0), text=PROBE)
    prompt = Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
    return Batch((item,), prompt, None, torch.tensor([item.label_dist])).to(policy.device)


@torch.no_grad()
def own_log_probs(
    policy: Policy, batch: Batch, ids: list[int], *, temperature: float
) -> Float[Tensor, " token"]:
    """The policy's log-probabilities in nats of a response to a batch's only prompt.

    Args:
        policy: The policy; it is in evaluation mode meanwhile.
        batch: A batch of one item.
        ids: The response's tokens.
        temperature: Divides the logits; 0 is taken as 1.
    """
    tokens = torch.tensor(ids, device=policy.device)
    span = ScoredSpan(0, tokens, torch.ones_like(tokens, dtype=torch.bool))
    with policy.eval_mode():
        scored = score_spans(policy, batch, [span], PassSettings(None, temperature or 1.0))
    return scored.log_probs[0].cpu()


def mismatch(own: Float[Tensor, " token"], given: list[float]) -> float:
    """Mean |difference| of log-probabilities in nats."""
    return float((own.float() - torch.tensor(given)).abs().mean())
