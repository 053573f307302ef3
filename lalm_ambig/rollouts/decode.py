"""Greedy decoding of a batch up to the answer's place, with one cache that the readout goes on from."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.response import ANSWER_OPEN, missing_end
from lalm_ambig.types import Batch

TAG_TOKENS = 12
"""More tokens than any tokenizer takes for `<answer>`: how far back a stop is looked for."""


@dataclass
class Decoded:
    """Responses of a batch and the state to go on from: what the cache holds, and what it does not yet."""

    cache: Any
    mask: Bool[Tensor, "item cached"]
    """True where the cache holds a token of the row."""
    ids: list[list[int]] = field(default_factory=list)
    """Sampled tokens of each row, without the end of the turn."""
    pending: list[list[int]] = field(default_factory=list)
    """Tokens of each row that the cache lacks, up to the last token of `<answer>`."""
    texts: list[str] = field(default_factory=list)
    """Responses up to and including `<answer>`, with the missing end appended."""
    closed: list[bool] = field(default_factory=list)
    """True where that end was missing."""


@torch.no_grad()
def decode(policy: Policy, batch: Batch, *, max_new_tokens: int) -> Decoded:
    """The most likely response of each item, token by token, until it reaches `<answer>`, ends, or is too long.

    Args:
        policy: In evaluation mode; LoRA dropout would otherwise act on the responses.
        batch: Its prompts are left-padded.
        max_new_tokens: Longest response in tokens; 0 reads the answer at once.
    """
    cache = policy.new_cache()
    state = Decoded(cache=cache, mask=batch.prompt.mask, ids=[[] for _ in batch.items])
    hidden = policy.hidden(policy.embed(batch.prompt, batch.audio), state.mask, cache=cache)[:, -1]
    live = torch.full((len(batch.items),), max_new_tokens > 0, device=hidden.device)
    fed = [0] * len(batch.items)
    for _ in range(max_new_tokens):
        tokens = _take(policy, hidden, live, state)
        if not bool(live.any()):
            break
        state.mask = torch.cat([state.mask, live[:, None]], dim=1)
        fed = [n + int(alive) for n, alive in zip(fed, live.tolist(), strict=True)]
        hidden = policy.hidden(policy.embed_ids(tokens[:, None]), state.mask, cache=cache)[:, -1]
    _close(policy, state, fed)
    if max_new_tokens == 0:  # the response is given, not cut short
        state.closed = [False] * len(batch.items)
    return state


def _take(policy: Policy, hidden: Float[Tensor, "item channel"], live: Tensor, state: Decoded) -> Tensor:
    """Append the next token of each live row and strike off the rows that stop with it."""
    tokens = policy.logits(hidden).argmax(-1)
    ends = set(policy.end_ids)
    for row, token in enumerate(tokens.tolist()):
        if not live[row]:
            continue
        if token in ends:
            live[row] = False
            continue
        state.ids[row].append(token)
        if ANSWER_OPEN in policy.tokenizer.decode(state.ids[row][-TAG_TOKENS:]):
            live[row] = False
    return tokens


def _close(policy: Policy, state: Decoded, fed: list[int]) -> None:
    """Complete each response to `<answer>`, and note which of its tokens the cache still lacks."""
    for ids, done in zip(state.ids, fed, strict=True):
        text = policy.tokenizer.decode(ids)
        reached = ANSWER_OPEN in text
        if reached and not text.endswith(ANSWER_OPEN):  # the last token holds more than the tag's end
            ids = ids[:-1]
            text = policy.tokenizer.decode(ids)
        end = missing_end(text)
        state.pending.append(ids[done:] + policy.text_ids(end) if end else ids[done:])
        state.texts.append(text + end)
        state.closed.append(not reached)
