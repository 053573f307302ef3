"""The training pass: log-probabilities and class scores of given responses, with each prompt computed once."""

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
from lalm_ambig.rollouts.scoring import category_scores, inner_tokens, log_class_mass


@dataclass(frozen=True)
class ScoredSpan:
    """A given response to one prompt of a batch, and which of its values are wanted."""

    prompt: int
    """Row of the prompt in the batch."""
    ids: Int[Tensor, " token"]
    loss_mask: Bool[Tensor, " token"]
    """True on the tokens whose log-probability is wanted."""
    answer_position: int | None = None
    """Index of the answer's first token, where the class scores at that position are wanted."""


@dataclass(frozen=True)
class PassSettings:
    """How spans are computed."""

    answer: AnswerTokens | None
    """Tokens of the class names; None if no span has an answer position."""
    temperature: float = 1.0
    """Divides the logits of the log-probabilities, not those of the class scores."""
    share_prompt: bool = True
    """Compute each prompt once; if False, every text by itself."""
    class_mass: bool = False
    """Whether the mass of the class names is wanted, too, which takes a row of the whole vocabulary per answer."""


@dataclass(frozen=True)
class PassOutput:
    """Values of the spans under the policy, in the order of the spans."""

    log_probs: Float[Tensor, "span token"]
    """In nats; 0 outside the mask."""
    mask: Bool[Tensor, "span token"]
    """The spans' loss masks, padded on the right."""
    scores: Float[Tensor, "answered category"]
    """Class scores of the spans that have an answer position (see `category_scores`)."""
    log_class_mass: Float[Tensor, " answered"] | None = None
    """Log of the class names' probability in nats, where it is wanted (see `log_class_mass`)."""


@dataclass(frozen=True)
class _SpanStates:
    """Hidden states of a pass over prompts and spans."""

    states: list[Tensor]
    """[token, channel] of each segment: the prompts, then each span's segments."""
    first: list[int]
    """Index of each span's first segment."""

    def of_span(self, span: ScoredSpan, number: int) -> Tensor:
        """States of all tokens of a span, whether or not it was split."""
        states = self.states[self.first[number]]
        if len(states) == len(span.ids):
            return states
        return torch.cat([states, self.states[self.first[number] + 1]])


def curated_spans(curated: Demonstrations, *, ce: bool, name: bool, scores: bool) -> list[ScoredSpan]:
    """The curated response of each item as a span.

    Args:
        curated: One response per item.
        ce: Whether the response's tokens are in the loss mask; otherwise nothing after the answer position is computed.
        name: Whether the tokens of the class name are in the loss mask, too.
        scores: Whether class scores are wanted.
    """
    spans = []
    for row, position in enumerate(curated.answer_position.tolist()):
        stop = int(curated.response.mask[row].sum()) if ce else position
        loss_mask = curated.response.mask[row, :stop] & ce
        if not name:
            loss_mask = loss_mask & ~curated.is_answer_token[row, :stop]
        spans.append(
            ScoredSpan(row, curated.response.ids[row, :stop], loss_mask, position if scores else None)
        )
    return spans


def score_spans(
    policy: Policy, batch: Batch, spans: Sequence[ScoredSpan], settings: PassSettings
) -> PassOutput:
    """Score spans in one forward pass over the batch's prompts and the spans after them.

    Gradients are computed if they are enabled.

    Args:
        policy: The policy.
        batch: Items with their prompts.
        spans: The responses to score, in any order.
        settings: How they are computed.

    Returns:
        Log-probabilities, masks and class scores, in the order of the spans.
    """
    inner = () if settings.answer is None else inner_tokens(settings.answer)
    used = {span.prompt for span in spans if len(span.ids)} or {0}
    segments = [
        prompt if n in used else prompt.part(slice(0), None)
        for n, prompt in enumerate(prompt_segments(policy, batch))
    ]
    first = []
    for span in spans:
        first.append(len(segments))
        segments += _segments(policy, span, first=len(segments), inner=inner)
    passed = _SpanStates(tree_states(policy, segments, share=settings.share_prompt), first)
    log_probs, mask = _log_probs(policy, spans, passed, temperature=settings.temperature)
    anchors = _anchors(spans, passed)
    scores = _scores(policy, spans, passed, anchors, answer=settings.answer)
    mass = None
    if settings.class_mass and settings.answer is not None and len(anchors):
        mass = log_class_mass(policy, settings.answer, anchors, scores)
    return PassOutput(log_probs, mask, scores, mass)


def _segments(
    policy: Policy, span: ScoredSpan, *, first: int, inner: Sequence[tuple[int, ...]]
) -> list[Segment]:
    """The span as one segment, or split at its answer position if inner tokens of names continue from there."""
    if span.answer_position is None or not any(inner):
        return [Segment(policy.embed_ids(span.ids), span.prompt, span.ids)]
    start, rest = span.ids[: span.answer_position], span.ids[span.answer_position :]
    names = [torch.tensor(ids, device=rest.device, dtype=rest.dtype) for ids in inner]
    root = Segment(policy.embed_ids(start), span.prompt, start)
    return [root, *(Segment(policy.embed_ids(ids), first, ids) for ids in (rest, *names) if len(ids))]


def _log_probs(
    policy: Policy, spans: Sequence[ScoredSpan], passed: _SpanStates, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the spans' tokens, and their mask."""
    rows = []
    for number, span in enumerate(spans):
        before = torch.cat([passed.states[span.prompt][-1:], passed.of_span(span, number)])[: len(span.ids)]
        rows.append(before[span.loss_mask])
    ids = torch.cat([span.ids[span.loss_mask] for span in spans])
    mask = pad_sequence([span.loss_mask for span in spans], batch_first=True)
    values = policy.token_log_probs(torch.cat(rows), ids, temperature=temperature)
    return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, values), mask


def _answered(spans: Sequence[ScoredSpan], passed: _SpanStates) -> list[tuple[ScoredSpan, int]]:
    """The spans that have an answer position, each with the index of its first segment."""
    return [
        (span, n) for span, n in zip(spans, passed.first, strict=True) if span.answer_position is not None
    ]


def _anchors(spans: Sequence[ScoredSpan], passed: _SpanStates) -> Tensor:
    """States [answered, channel] of the last token before each answer position."""
    rows = [passed.states[n][int(span.answer_position or 0) - 1] for span, n in _answered(spans, passed)]
    return torch.stack(rows) if rows else passed.states[0][:0]


def _scores(
    policy: Policy,
    spans: Sequence[ScoredSpan],
    passed: _SpanStates,
    anchors: Tensor,
    *,
    answer: AnswerTokens | None,
) -> Tensor:
    """Class scores of the spans that have an answer position."""
    states = passed.states
    if answer is None or not len(anchors):
        return anchors.new_zeros(0, 0 if answer is None else len(answer.name_ids), dtype=torch.float32)
    inner = inner_tokens(answer)
    if not any(inner):
        return category_scores(policy, answer, anchors)
    inside = []
    for span, index in _answered(spans, passed):
        split = span.answer_position is not None and len(span.ids) > span.answer_position
        names = iter(states[index + 1 + split :])
        inside.append([next(names) if ids else anchors[:0] for ids in inner])
    return category_scores(policy, answer, anchors, inside=inside)
