"""The training pass: log-probabilities and class scores of given responses, with each prompt computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lalm_ambig.core.types import AnswerPlaces, Batch, Demonstrations, MassGradient
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
    """Number of its tokens before the answer, where the class scores there are wanted."""
    closing: Int[Tensor, " closing_token"] | None = None
    """Tokens that lead from there to the answer, if the response did not reach it by itself. They are a branch of their
    own: what the response went on with does not see them."""

    @property
    def branches(self) -> bool:
        """Whether a closing leads to the answer."""
        return self.closing is not None and len(self.closing) > 0


@dataclass(frozen=True)
class PassSettings:
    """How spans are computed."""

    answer: AnswerTokens | None
    """Tokens of the class names; None if no span has an answer position."""
    temperature: float = 1.0
    """Divides the logits of the log-probabilities, not those of the class scores."""
    share_prompt: bool = True
    """Compute each prompt once; if False, every text by itself."""
    class_mass: MassGradient | None = None
    """How the mass of the class names is trained, with a row of the whole vocabulary per answer; None: it is not."""


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

    def answer(self, span: ScoredSpan, number: int) -> tuple[Tensor, int]:
        """The state that a span's answer is read from, and the index of the segment after those that lead there."""
        position, index = int(span.answer_position or 0), self.first[number] + 1
        if len(span.ids) > position and len(self.states[index - 1]) < len(span.ids):
            index += 1  # the rest of the response
        if span.branches:
            return self.states[index][-1], index + 1
        before = self.states[self.first[number]] if position else self.states[span.prompt]
        return before[position - 1], index


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


def response_spans(
    ids: Int[Tensor, "group rollout token"],
    mask: Bool[Tensor, "group rollout token"],
    loss_mask: Bool[Tensor, "group rollout token"],
    answers: AnswerPlaces | None = None,
) -> list[ScoredSpan]:
    """Responses as spans, group by group. Of one without a loss token, nothing after its answer is computed.

    Args:
        ids: Their tokens, padded on the right.
        mask: True on tokens.
        loss_mask: True on the tokens whose log-probabilities are wanted.
        answers: Where class scores are wanted; None for no scores.
    """
    lengths, in_loss = mask.sum(-1).tolist(), loss_mask.any(-1).tolist()
    positions = None if answers is None else answers.position.tolist()
    closings = None if answers is None else answers.closing_mask.sum(-1).tolist()
    spans = []
    for g, row in enumerate(lengths):
        for k, length in enumerate(row):
            position = None if positions is None else positions[g][k]
            stop = length if in_loss[g][k] else position or 0
            closing = None
            if answers is not None and closings is not None:
                closing = answers.closing[g, k, : closings[g][k]]
            spans.append(ScoredSpan(g, ids[g, k, :stop], loss_mask[g, k, :stop], position, closing))
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
    anchors, scores = _answers(policy, spans, passed, settings.answer)
    mass = None
    if settings.class_mass is not None and settings.answer is not None and len(anchors):
        mass = log_class_mass(policy, settings.answer, anchors, scores, gradient=settings.class_mass)
    return PassOutput(log_probs, mask, scores, mass)


def _segments(
    policy: Policy, span: ScoredSpan, *, first: int, inner: Sequence[tuple[int, ...]]
) -> list[Segment]:
    """The span as one segment, or split at its answer position where a closing or inner tokens follow."""
    if span.answer_position is None or not (any(inner) or span.branches):
        return [Segment(policy.embed_ids(span.ids), span.prompt, span.ids)]

    def after(ids: Tensor, parent: int) -> Segment:
        return Segment(policy.embed_ids(ids), parent, ids)

    start, rest = span.ids[: span.answer_position], span.ids[span.answer_position :]
    segments, parent = [after(start, span.prompt)], first
    if len(rest):
        segments.append(after(rest, first))
    if span.closing is not None and span.branches:
        parent = first + len(segments)
        segments.append(after(span.closing, first))
    names = [torch.tensor(ids, device=rest.device, dtype=rest.dtype) for ids in inner]
    return [*segments, *(after(ids, parent) for ids in names if len(ids))]


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


def _answers(
    policy: Policy, spans: Sequence[ScoredSpan], passed: _SpanStates, answer: AnswerTokens | None
) -> tuple[Tensor, Tensor]:
    """States [answered, channel] before the answers of the spans that have one, and the class scores there."""
    read = [passed.answer(span, n) for n, span in enumerate(spans) if span.answer_position is not None]
    if answer is None or not read:
        anchors = passed.states[0][:0]
        return anchors, anchors.new_zeros(
            0, 0 if answer is None else len(answer.name_ids), dtype=torch.float32
        )
    anchors = torch.stack([state for state, _ in read])
    inner = inner_tokens(answer)
    if not any(inner):
        return anchors, category_scores(policy, answer, anchors)
    inside = []
    for _, index in read:
        names = iter(passed.states[index:])
        inside.append([next(names) if ids else anchors[:0] for ids in inner])
    return anchors, category_scores(policy, answer, anchors, inside=inside)
