"""Reading a policy's distribution: after its own reasoning, after the curated one, or at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.forward import tree_states
from lalm_ambig.policies.tree import Segment
from lalm_ambig.readouts.logits import AnswerTokens, class_mass, predicted_dist
from lalm_ambig.rollouts.decoder import prompt_embeddings
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.scoring import category_scores, inner_tokens
from lalm_ambig.types import Batch, Reading


@torch.no_grad()
def read_generated(policy: Policy, batch: Batch, answer: AnswerTokens, *, max_new_tokens: int) -> Reading:
    """The distribution behind the policy's own greedy response; `max_new_tokens=0` asks for it at once."""
    greedy = Sampling(max_new_tokens=max_new_tokens, temperature=0.0)
    request = Request(greedy, stop=(policy.tags.answer_open,), anchor=policy.tags.answer_open)
    generated = generate(policy, batch, request)
    assert generated.anchor_states is not None
    inner = inner_tokens(answer)
    inside = generated.behind_anchor([inner] * len(batch.items)) if any(inner) else None
    texts = [policy.tokenizer.decode([*r.ids[: r.prefix], *r.closing]) for r in generated.responses]
    closed = [r.closed and max_new_tokens > 0 for r in generated.responses]
    return _reading(policy, answer, (generated.anchor_states, inside), (texts, closed))


@torch.no_grad()
def read_curated(policy: Policy, batch: Batch, answer: AnswerTokens) -> Reading:
    """The distribution behind the curated response, which every item of the batch must have."""
    assert batch.curated is not None
    responses = batch.curated.up_to_answer()
    prompts = [Segment(prompt) for prompt in prompt_embeddings(policy, batch)]
    starts = [Segment(policy.embed_ids(ids), n) for n, ids in enumerate(responses)]
    names = [
        Segment(policy.embed_ids(torch.tensor(ids, device=policy.device)), len(prompts) + n)
        for n in range(len(responses))
        for ids in inner_tokens(answer)
        if ids
    ]
    with policy.evaluating():
        states = tree_states(policy, [*prompts, *starts, *names])
    texts = [policy.tokenizer.decode(ids.tolist()) for ids in responses]
    count = len(prompts)
    anchors = torch.stack([rows[-1] for rows in states[count : 2 * count]])
    inside = _by_item(states[2 * count :], answer, count) if names else None
    return _reading(policy, answer, (anchors, inside), (texts, [False] * count))


def _by_item(states: Sequence[Tensor], answer: AnswerTokens, count: int) -> list[list[Tensor]]:
    """States of the names' inner tokens, name by name; empty for names of one token."""
    found = iter(states)
    empty = states[0][:0]
    return [[next(found) if ids else empty for ids in inner_tokens(answer)] for _ in range(count)]


def _reading(
    policy: Policy,
    answer: AnswerTokens,
    read: tuple[Tensor, list[list[Tensor]] | None],
    said: tuple[Sequence[str], Sequence[bool]],
) -> Reading:
    anchors, inside = read
    scores = category_scores(policy, answer, anchors, inside=inside)
    texts, closed = said
    mass = (
        class_mass(scores, policy.logits(anchors))
        if answer.scoring == "first"
        else scores.exp().sum(-1).clamp(max=1)
    )
    return Reading(predicted_dist(scores), mass, responses=tuple(texts), closed=tuple(closed))
