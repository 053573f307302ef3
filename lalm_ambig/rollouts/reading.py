"""Read a policy's distribution: after its own reasoning, after the curated one, or at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lalm_ambig.core.types import Batch, Reading
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.attention.tree_pass import tree_states
from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.logits import AnswerTokens, class_mass, predicted_dist
from lalm_ambig.rollouts.decoder import prompt_segments
from lalm_ambig.rollouts.generate import Request, Sequel, generate
from lalm_ambig.rollouts.groups import SPARE_TOKENS
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.scoring import category_scores, inner_tokens


@torch.no_grad()
def read_generated(
    policy: Policy, batch: Batch, answer: AnswerTokens, *, max_new_tokens: int, share: bool = True
) -> Reading:
    """Read the distribution after the policy's own greedy response.

    The response ends at the answer's place. What the policy then writes, a class name and the closing tag if it keeps
    the form, is recorded for its form and length only.

    Args:
        policy: The policy.
        batch: Items with their prompts.
        answer: Tokens of the class names.
        max_new_tokens: Longest response; 0 reads at once, without a response.
        share: Compute each prompt once; if False, every text by itself.
    """
    if max_new_tokens == 0:
        opening = torch.tensor(policy.text_ids(answer.tags.completion_to_answer("")), device=policy.device)
        return _read_after(policy, batch, answer, [opening] * len(batch.items), share=share)
    greedy = Sampling(max_new_tokens=max_new_tokens, temperature=0.0)
    tag, most = answer.tags.answer_open, max(map(len, answer.name_ids)) + SPARE_TOKENS
    sequel = Sequel(answer.tags.answer_close, most)
    request = Request(greedy, stop=(tag,), anchor=tag, share_prompt=share, tags=answer.tags, sequel=sequel)
    generated = generate(policy, batch, request)
    assert generated.anchor_states is not None
    inner = inner_tokens(answer)
    inside = generated.continue_from_anchor([inner] * len(batch.items)) if any(inner) else None
    texts = [policy.tokenizer.decode([*r.ids[: r.prefix], *r.closing]) for r in generated.responses]
    was_completed = [r.was_completed for r in generated.responses]
    scores = category_scores(policy, answer, generated.anchor_states, inside=inside)
    mass = _mass(policy, answer, generated.anchor_states, scores)
    written = [[*r.ids, *r.further] for r in generated.responses]
    formed = [answer.tags.is_well_formed(policy.tokenizer.decode(ids)) for ids in written]
    return Reading(
        predicted_dist(scores),
        mass,
        responses=tuple(texts),
        was_completed=tuple(was_completed),
        well_formed=torch.tensor(formed, dtype=torch.float32, device=scores.device),
        tokens=torch.tensor([len(ids) for ids in written], dtype=torch.float32, device=scores.device),
    )


@torch.no_grad()
def read_curated(policy: Policy, batch: Batch, answer: AnswerTokens, *, share: bool = True) -> Reading:
    """Read the distribution after the curated response, which every item of the batch must have.

    Args:
        policy: The policy.
        batch: Items with their prompts and curated responses.
        answer: Tokens of the class names.
        share: Compute each prompt once; if False, every text by itself.
    """
    assert batch.curated is not None
    return _read_after(policy, batch, answer, batch.curated.ids_before_answer(), share=share)


def _read_after(
    policy: Policy, batch: Batch, answer: AnswerTokens, responses: Sequence[Tensor], *, share: bool
) -> Reading:
    """Read the distribution after a given response to each item, in one pass."""
    with policy.eval_mode():
        prompts = prompt_segments(policy, batch)
        starts = [
            prompt.followed_by(Segment(policy.embed_ids(ids), None, ids))
            for prompt, ids in zip(prompts, responses, strict=True)
        ]
        inner = [torch.tensor(ids, device=policy.device) for ids in inner_tokens(answer) if ids]
        names = [Segment(policy.embed_ids(ids), n, ids) for n in range(len(starts)) for ids in inner]
        states = tree_states(policy, [*starts, *names], share=share)
    texts = [policy.tokenizer.decode(ids.tolist()) for ids in responses]
    count = len(starts)
    anchors = torch.stack([rows[-1] for rows in states[:count]])
    inside = _by_item(states[count:], answer, count) if names else None
    scores = category_scores(policy, answer, anchors, inside=inside)
    return Reading(
        predicted_dist(scores),
        _mass(policy, answer, anchors, scores),
        responses=tuple(texts),
        was_completed=(False,) * count,
    )


def _by_item(states: Sequence[Tensor], answer: AnswerTokens, count: int) -> list[list[Tensor]]:
    """States of the names' inner tokens per item and name; empty for names of one token."""
    inner_states = iter(states)
    empty = states[0][:0]
    return [[next(inner_states) if ids else empty for ids in inner_tokens(answer)] for _ in range(count)]


def _mass(policy: Policy, answer: AnswerTokens, anchors: Tensor, scores: Tensor) -> Tensor:
    """Share of the probability on the class names: on their first tokens, or on all of their tokens."""
    if answer.scoring == "first":
        return class_mass(scores, policy.logits(anchors))
    return scores.exp().sum(-1).clamp(max=1)
