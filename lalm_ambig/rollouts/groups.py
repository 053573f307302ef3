"""Sampled responses as groups: tokens, what was read behind them, and whether they keep the form."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.encoding import Encoder, pad
from lalm_ambig.readouts.logits import predicted_dist
from lalm_ambig.readouts.response import ANSWER_CLOSE, ANSWER_OPEN, is_well_formed
from lalm_ambig.rollouts.generate import Generated, Request, Response, generate
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise
from lalm_ambig.rollouts.scoring import category_scores, inner_tokens
from lalm_ambig.types import Batch, Groups

SPARE_TOKENS = 8
"""Tokens behind the answer's place beyond the longest name: enough to close the tag; later ones serve nothing."""


@dataclass(frozen=True)
class Draw:
    """How groups are drawn."""

    sampling: Sampling
    copies: int
    """Responses to each prompt, K."""
    step: int
    """Of training: another step draws other responses."""
    share_prompt: bool = True


@torch.no_grad()
def sample_groups(encoder: Encoder, batch: Batch, draw: Draw) -> Groups:
    """K responses of the encoder's policy to each prompt, sampled to `</answer>`, and the distribution behind each."""
    policy = encoder.policy
    request = Request(
        draw.sampling,
        copies=draw.copies,
        stop=(ANSWER_CLOSE,),
        anchor=ANSWER_OPEN,
        behind_anchor=max(map(len, encoder.answer.name_ids)) + SPARE_TOKENS,
        share_prompt=draw.share_prompt,
    )
    noise = uniform_noise(
        [item.id for item in batch.items],
        seed=draw.sampling.seed,
        step=draw.step,
        copies=draw.copies,
        tokens=draw.sampling.max_new_tokens,
    )
    generated = generate(policy, batch, request, noise=noise)
    with policy.evaluating():
        scores = _scores(encoder, generated)
    return _grouped(encoder, generated.responses, scores, copies=draw.copies)


def _scores(encoder: Encoder, generated: Generated) -> Float[Tensor, "row category"]:
    assert generated.anchor_states is not None
    inner = inner_tokens(encoder.answer)
    inside = generated.behind_anchor([inner] * len(generated.responses)) if any(inner) else None
    return category_scores(encoder.policy, encoder.answer, generated.anchor_states, inside=inside)


def _grouped(encoder: Encoder, responses: Sequence[Response], scores: Tensor, *, copies: int) -> Groups:
    policy, device = encoder.policy, scores.device
    shape = (-1, copies)
    tokens = pad([r.ids for r in responses], policy.pad_id, side="right").to(device)
    log_probs = torch.zeros(tokens.ids.shape, device=device)
    values = torch.tensor([value for r in responses for value in r.log_probs], device=device)
    log_probs = log_probs.masked_scatter(tokens.mask, values)
    names = pad([_name_marks(encoder, r, tokens.ids.shape[1]) for r in responses], 0, side="right").ids
    formed = [is_well_formed(r.text) for r in responses]

    def flags(values: Sequence[bool]) -> Tensor:
        return torch.tensor(values, device=device).view(shape)

    logits = scores.view(-1, copies, scores.shape[-1])
    return Groups(
        ids=tokens.ids.view(*shape, tokens.ids.shape[1]),
        mask=tokens.mask.view(*shape, tokens.ids.shape[1]),
        is_name=names.bool().to(device).view(*shape, tokens.ids.shape[1]),
        log_probs=log_probs.view(*shape, tokens.ids.shape[1]),
        predicted_dist=predicted_dist(logits),
        category_logits=logits,
        well_formed=flags(formed),
        closed=flags([r.closed for r in responses]),
        truncated=flags([r.ended == "length" and r.closed for r in responses]),
        texts=tuple(
            tuple(r.text for r in responses[n : n + copies]) for n in range(0, len(responses), copies)
        ),
    )


def _name_marks(encoder: Encoder, response: Response, width: int) -> list[int]:
    """1 on each token behind the answer's place and before the tag that closes it, filled up with 0."""
    marks = [0] * width
    if response.anchor < 0:
        return marks
    for place in range(response.anchor, len(response.ids)):
        before = encoder.policy.tokenizer.decode(response.ids[response.anchor : place])
        here = encoder.policy.tokenizer.decode(response.ids[place : place + 1])
        if "<" in before or here.startswith("<") or response.ids[place] in encoder.policy.end_ids:
            break
        marks[place] = 1
    return marks
