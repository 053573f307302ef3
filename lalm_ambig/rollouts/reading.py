"""Reading a policy's distribution: after its own reasoning, after the curated one, or at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.encoding import pad
from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.logits import AnswerTokens, class_mass, predicted_dist
from lalm_ambig.rollouts.decode import decode
from lalm_ambig.types import Batch, Reading, Tokens


@torch.no_grad()
def read_generated(policy: Policy, batch: Batch, answer: AnswerTokens, *, max_new_tokens: int) -> Reading:
    """The distribution behind the policy's own greedy response; `max_new_tokens=0` asks for it at once."""
    decoded = decode(policy, batch, max_new_tokens=max_new_tokens)
    rest = pad(decoded.pending, policy.pad_id, side="right").to(policy.device)
    mask = torch.cat([decoded.mask, rest.mask], dim=1)
    hidden = policy.hidden(policy.embed_ids(rest.ids), mask, cache=decoded.cache)
    last = rest.mask.sum(-1) - 1
    return _reading(policy, hidden[torch.arange(len(last)), last], answer, decoded.texts, decoded.closed)


@torch.no_grad()
def read_curated(policy: Policy, batch: Batch, answer: AnswerTokens) -> Reading:
    """The distribution behind the curated response, which every item of the batch must have."""
    assert batch.curated is not None
    response, at = batch.curated.response, batch.curated.readout_at
    hidden = curated_hidden(policy, batch, response)
    texts = [
        policy.tokenizer.decode(ids[: int(end) + 1].tolist())
        for ids, end in zip(response.ids, at, strict=True)
    ]
    rows = hidden[torch.arange(len(at)), batch.prompt.ids.shape[1] + at]
    return _reading(policy, rows, answer, texts, [False] * len(texts))


def curated_hidden(policy: Policy, batch: Batch, response: Tokens) -> Float[Tensor, "item token channel"]:
    """Hidden states of prompt and response, in one forward pass: column L−1 predicts the first response token."""
    ids = torch.cat([batch.prompt.ids, response.ids], dim=1)
    mask = torch.cat([batch.prompt.mask, response.mask], dim=1)
    return policy.hidden(policy.embed(Tokens(ids, mask), batch.audio), mask)


def _reading(
    policy: Policy, rows: Tensor, answer: AnswerTokens, texts: Sequence[str], closed: Sequence[bool]
) -> Reading:
    names = torch.tensor(answer.first_ids, device=rows.device)
    category_logits = policy.category_logits(rows, names)
    return Reading(
        predicted_dist=predicted_dist(category_logits),
        class_mass=class_mass(category_logits, policy.logits(rows)),
        responses=tuple(texts),
        closed=tuple(closed),
    )
