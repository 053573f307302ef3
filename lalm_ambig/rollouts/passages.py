"""The training pass: log-probabilities of given responses and class scores behind them, each prompt computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lalm_ambig.core.types import Batch, Demonstrations
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.attention.tree_pass import tree_states
from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.logits import AnswerTokens
from lalm_ambig.rollouts.decoder import prompt_segments
from lalm_ambig.rollouts.scoring import category_scores, inner_tokens


@dataclass(frozen=True)
class ScoredSpan:
    """A response to one prompt of a batch, and what is wanted of it."""

    prompt: int
    """Row of the batch."""
    ids: Int[Tensor, " token"]
    loss_mask: Bool[Tensor, " token"]
    """True on the tokens whose log-probability is wanted."""
    answer_position: int | None = None
    """Index of the answer's first token, where the class scores at that position are wanted."""


@dataclass(frozen=True)
class PassSettings:
    """How passages are computed."""

    answer: AnswerTokens | None
    """The class names' tokens; None where no passage has an anchor."""
    temperature: float = 1.0
    """Of the log-probabilities, not of the class scores."""
    share_prompt: bool = True
    """Compute each prompt once; False is the plain way."""


@dataclass(frozen=True)
class PassOutput:
    """What the policy says of passages, in their order."""

    log_probs: Float[Tensor, "passage token"]
    """In nats; 0 where a token is not counted."""
    mask: Bool[Tensor, "passage token"]
    """True on counted tokens."""
    scores: Float[Tensor, "anchored category"]
    """Class scores of the passages that have an anchor (see `category_scores`)."""


def curated_spans(curated: Demonstrations, *, ce: bool, name: bool, scores: bool) -> list[ScoredSpan]:
    """The curated response of each item as passages.

    Args:
        curated: One response an item.
        ce: Count the response's tokens; without, nothing behind the answer's place is computed.
        name: Count the tokens of the class name, too.
        scores: Whether the class scores are wanted.
    """
    found = []
    for row, position in enumerate(curated.answer_position.tolist()):
        stop = int(curated.response.mask[row].sum()) if ce else position
        loss_mask = curated.response.mask[row, :stop] & ce
        if not name:
            loss_mask = loss_mask & ~curated.is_answer_token[row, :stop]
        found.append(
            ScoredSpan(row, curated.response.ids[row, :stop], loss_mask, position if scores else None)
        )
    return found


def score_spans(
    policy: Policy, batch: Batch, passages: Sequence[ScoredSpan], settings: PassSettings
) -> PassOutput:
    """One forward pass over the batch's prompts and the passages behind them, with gradients where they are on."""
    inner = () if settings.answer is None else inner_tokens(settings.answer)
    used = {passage.prompt for passage in passages if len(passage.ids)} or {0}
    segments = [
        prompt if n in used else prompt.part(slice(0), None)
        for n, prompt in enumerate(prompt_segments(policy, batch))
    ]
    ends: list[int] = []
    """Index of each passage's first segment."""
    for passage in passages:
        ends.append(len(segments))
        segments += _segments(policy, passage, first=len(segments), inner=inner)
    states = tree_states(policy, segments, share=settings.share_prompt)
    log_probs, mask = _log_probs(policy, passages, (ends, states), temperature=settings.temperature)
    scores = _scores(policy, passages, (ends, states), answer=settings.answer)
    return PassOutput(log_probs, mask, scores)


def _segments(
    policy: Policy, passage: ScoredSpan, *, first: int, inner: Sequence[tuple[int, ...]]
) -> list[Segment]:
    """The passage as segments: whole, or split at its anchor where inner tokens of names go on from there."""
    if passage.answer_position is None or not any(inner):
        return [Segment(policy.embed_ids(passage.ids), passage.prompt, passage.ids)]
    start, rest = passage.ids[: passage.answer_position], passage.ids[passage.answer_position :]
    names = [torch.tensor(ids, device=rest.device, dtype=rest.dtype) for ids in inner]
    found = [Segment(policy.embed_ids(start), passage.prompt, start)]
    return found + [Segment(policy.embed_ids(ids), first, ids) for ids in (rest, *names) if len(ids)]


def _own_states(passage: ScoredSpan, index: int, states: Sequence[Tensor]) -> Tensor:
    """States of all of a passage's tokens, whether or not it was split."""
    first = states[index]
    return first if len(first) == len(passage.ids) else torch.cat([first, states[index + 1]])


def _log_probs(
    policy: Policy,
    passages: Sequence[ScoredSpan],
    passed: tuple[list[int], list[Tensor]],
    *,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    ends, states = passed
    rows = []
    for passage, index in zip(passages, ends, strict=True):
        before = torch.cat([states[passage.prompt][-1:], _own_states(passage, index, states)])[
            : len(passage.ids)
        ]
        rows.append(before[passage.loss_mask])
    ids = torch.cat([passage.ids[passage.loss_mask] for passage in passages])
    mask = pad_sequence([passage.loss_mask for passage in passages], batch_first=True)
    values = policy.token_log_probs(torch.cat(rows), ids, temperature=temperature)
    return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, values), mask


def _scores(
    policy: Policy,
    passages: Sequence[ScoredSpan],
    passed: tuple[list[int], list[Tensor]],
    *,
    answer: AnswerTokens | None,
) -> Tensor:
    ends, states = passed
    chosen = [(p, n) for p, n in zip(passages, ends, strict=True) if p.answer_position is not None]
    if answer is None or not chosen:
        return states[0].new_zeros(0, 0 if answer is None else len(answer.name_ids), dtype=torch.float32)
    anchors = torch.stack([states[n][int(p.answer_position or 0) - 1] for p, n in chosen])
    inner = inner_tokens(answer)
    if not any(inner):
        return category_scores(policy, answer, anchors)
    inside = []
    for passage, index in chosen:
        split = passage.answer_position is not None and len(passage.ids) > passage.answer_position
        names = iter(states[index + 1 + split :])
        inside.append([next(names) if ids else anchors[:0] for ids in inner])
    return category_scores(policy, answer, anchors, inside=inside)
