"""Sampled responses as groups: tokens, the distribution of each response, and whether it keeps the form."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lalm_ambig.core.types import AnswerPlaces, Batch, Groups
from lalm_ambig.data.encoding import Encoder, pad
from lalm_ambig.readouts.labels import class_named
from lalm_ambig.readouts.logits import AnswerTokens, predicted_dist
from lalm_ambig.readouts.verbalised import is_bare, is_reasoned
from lalm_ambig.rollouts.engines.base import Draw, Engine, Sampled
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.engines.readout import OtherWeights, own_reading
from lalm_ambig.rollouts.generate import GeneratedBatch, Request, Response
from lalm_ambig.rollouts.parsing import parse_responses
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.scoring import category_scores, inner_tokens, log_class_mass

SPARE_TOKENS = 8
"""Tokens after the answer position beyond the longest name: enough to close the tag."""


@dataclass(frozen=True)
class GroupSampling:
    """How groups are sampled."""

    sampling: Sampling
    group_size: int
    """Responses per prompt, K."""
    step: int
    """Training step; another step samples other responses."""
    share_prompt: bool = True
    engine: Engine | None = None
    """What samples; None is the policy's own decode loop."""

    @property
    def draw(self) -> Draw:
        """What the random numbers depend on."""
        return Draw(self.sampling.seed or 0, self.step)


@dataclass(frozen=True)
class ResponseDistributions:
    """The distribution and the form of each response, row by row."""

    predicted_dist: Float[Tensor, "row category"]
    well_formed: list[bool]
    category_logits: Float[Tensor, "row category"] | None = None
    unparsed: tuple[str | None, ...] | None = None
    class_mass: Float[Tensor, " row"] | None = None
    importance: Float[Tensor, " row"] | None = None


@torch.no_grad()
def sample_groups(encoder: Encoder, batch: Batch, settings: GroupSampling) -> Groups:
    """Sample K responses of the encoder's policy to each prompt, and read the distribution of each.

    Under the logit readout a response ends with `</answer>`, and the distribution is read after `<answer>`. Under the
    verbalised readout it ends with the turn, and is parsed.
    """
    request, engine = request_of(encoder, settings), settings.engine or InProcess()
    sampled = engine.sample(encoder.policy, batch, request, settings.draw)
    try:
        read = _read(encoder, batch, sampled, request)
    except OtherWeights as error:
        if not sampled.ahead:
            raise
        print(
            f"responses sampled ahead differ from the policy by {error.off:.2f} nats a token: the step is sampled "
            "anew",
            file=sys.stderr,
        )
        sampled = engine.sample(encoder.policy, batch, request, settings.draw)  # those ahead are used up
        read = _read(encoder, batch, sampled, request)
    return _grouped(encoder, sampled.responses, read, group_size=settings.group_size)


def request_of(encoder: Encoder, settings: GroupSampling) -> Request:
    """What is asked of an engine: responses to the answer under the logit readout, or to their own end."""
    request = Request(settings.sampling, group_size=settings.group_size, share_prompt=settings.share_prompt)
    return request if encoder.answer is None else _to_answer(request, encoder.answer)


def _to_answer(request: Request, answer: AnswerTokens) -> Request:
    longest, tags = max(map(len, answer.name_ids)) + SPARE_TOKENS, answer.tags
    return replace(
        request,
        stop=(tags.answer_close,),
        anchor=tags.answer_open,
        max_tokens_after_anchor=longest,
        tags=tags,
    )


def _read(encoder: Encoder, batch: Batch, sampled: Sampled, request: Request) -> ResponseDistributions:
    """The distributions: from the decode loop's own states, or by a pass where an engine has sampled."""
    policy, answer = encoder.policy, encoder.answer
    if sampled.generated is not None:
        if answer is None:
            return _stated(encoder, sampled.responses)
        return _scored(encoder, sampled.generated, answer)
    own = own_reading(policy, batch, sampled.responses, request, answer)
    if answer is None or own.scores is None or own.log_class_mass is None:
        return replace(_stated(encoder, sampled.responses), importance=own.importance)
    return ResponseDistributions(
        predicted_dist(own.scores),
        [answer.tags.is_well_formed(r.text) for r in sampled.responses],
        category_logits=own.scores,
        class_mass=own.log_class_mass.exp().clamp(max=1),
        importance=own.importance,
    )


def _scored(encoder: Encoder, generated: GeneratedBatch, answer: AnswerTokens) -> ResponseDistributions:
    assert generated.anchor_states is not None
    inner = inner_tokens(answer)
    with encoder.policy.eval_mode():
        inside = generated.continue_from_anchor([inner] * len(generated.responses)) if any(inner) else None
        scores = category_scores(encoder.policy, answer, generated.anchor_states, inside=inside)
        mass = log_class_mass(encoder.policy, answer, generated.anchor_states, scores).exp().clamp(max=1)
    formed = [answer.tags.is_well_formed(r.text) for r in generated.responses]
    return ResponseDistributions(predicted_dist(scores), formed, category_logits=scores, class_mass=mass)


def _stated(encoder: Encoder, responses: Sequence[Response]) -> ResponseDistributions:
    texts = [r.text for r in responses]
    dist, unparsed = parse_responses(
        [encoder.tags.split_thought(text)[1] for text in texts], encoder.categories
    )
    formed = [
        reason is None and _in_form(encoder, text) for text, reason in zip(texts, unparsed, strict=True)
    ]
    return ResponseDistributions(dist.to(encoder.policy.device), formed, unparsed=unparsed)


def _in_form(encoder: Encoder, text: str) -> bool:
    """Whether a response is the object alone, or with reasoning before it, in a thought or not."""
    if not encoder.reasoning:
        return is_bare(text)
    thought, rest = encoder.tags.split_thought(text)
    return is_reasoned(rest) or (bool(thought.strip()) and is_bare(rest))


def _grouped(
    encoder: Encoder, responses: Sequence[Response], read: ResponseDistributions, *, group_size: int
) -> Groups:
    policy, device = encoder.policy, read.predicted_dist.device
    tokens = pad([r.ids for r in responses], policy.pad_id, side="right").to(device)
    values = torch.tensor([value for r in responses for value in r.log_probs], device=device)
    log_probs = torch.zeros(tokens.ids.shape, device=device).masked_scatter(tokens.mask, values)
    names = pad([_answer_mask(encoder, r, tokens.ids.shape[1]) for r in responses], 0, side="right").ids
    cut = [
        r.ended == "length" and not reached
        for r, reached in zip(responses, _reached(responses, read), strict=True)
    ]

    def grouped(values: Sequence[bool] | Shaped[Tensor, " row *token"]) -> Tensor:
        rows = values if isinstance(values, Tensor) else torch.tensor(values)
        return rows.to(device).view(len(rows) // group_size, group_size, *rows.shape[1:])

    def by_group(values: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
        return tuple(tuple(values[n : n + group_size]) for n in range(0, len(values), group_size))

    return Groups(
        ids=grouped(tokens.ids),
        mask=grouped(tokens.mask),
        is_answer_token=grouped(names.bool()),
        log_probs=grouped(log_probs),
        predicted_dist=grouped(read.predicted_dist),
        category_logits=None if read.category_logits is None else grouped(read.category_logits),
        well_formed=grouped(read.well_formed),
        was_completed=grouped([r.was_completed for r in responses]),
        truncated=grouped(cut),
        texts=by_group([r.text for r in responses]),
        unparsed=None if read.unparsed is None else by_group(read.unparsed),
        class_mass=None if read.class_mass is None else grouped(read.class_mass),
        importance=None if read.importance is None else grouped(read.importance),
        answers=None if read.category_logits is None else _places(responses, grouped),
        labels=None if read.category_logits is None else _labels(encoder, responses).view(-1, group_size),
    )


def _labels(encoder: Encoder, responses: Sequence[Response]) -> Int[Tensor, " row"]:
    """The class that each response names, −1 where it names none."""
    named = [class_named(r.text, encoder.categories, encoder.tags) for r in responses]
    return torch.tensor([label if isinstance(label, int) else -1 for label in named])


def _places(responses: Sequence[Response], grouped: Callable[[Tensor], Tensor]) -> AnswerPlaces:
    """Where the distribution of each response was read."""
    closing = pad([list(r.closing) for r in responses], 0, side="right")
    return AnswerPlaces(
        grouped(torch.tensor([r.prefix for r in responses])), grouped(closing.ids), grouped(closing.mask)
    )


def _reached(responses: Sequence[Response], read: ResponseDistributions) -> list[bool]:
    """Whether each response reached an answer by itself."""
    if read.unparsed is None:
        return [not r.was_completed for r in responses]
    return [reason is None for reason in read.unparsed]


def _answer_mask(encoder: Encoder, response: Response, width: int) -> list[int]:
    """1 on each token after the answer position and before the closing tag, padded with 0."""
    marks = [0] * width
    if response.anchor_end < 0:
        return marks
    for index in range(response.anchor_end, len(response.ids)):
        before = encoder.policy.tokenizer.decode(response.ids[response.anchor_end : index])
        token = encoder.policy.tokenizer.decode(response.ids[index : index + 1])
        if "<" in before or token.startswith("<") or response.ids[index] in encoder.policy.end_ids:
            break
        marks[index] = 1
    return marks
