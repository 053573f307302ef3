"""What the policy itself says of responses that an engine has sampled: their tokens, and their answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch
from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.logits import AnswerTokens
from lalm_ambig.remote.server import GOES_ON
from lalm_ambig.rollouts.engines.agreement import MOST_MISMATCH
from lalm_ambig.rollouts.generate import Request, Response
from lalm_ambig.rollouts.passages import PassSettings, ScoredSpan, score_spans

LARGEST_IMPORTANCE = 2.0
"""Cap of importance weights: truncated importance sampling keeps their variance finite."""
PASS_TOKENS = 8192
"""Tokens of prompts and responses that are read in one pass; a prompt and its responses are never divided."""


class OtherWeights(InputError):
    """Responses to which the policy gives other log-probabilities than rounding explains."""

    def __init__(self, off: float) -> None:
        """Args:
        off: Mean |difference| of the log-probabilities in nats.
        """
        self.off = off
        super().__init__(
            f"sampled responses differ from the policy by {off:.2f} nats a token, more than rounding explains: they "
            "are not of its weights.",
            where="model.engine",
            remedy=f"Start the servers anew. {GOES_ON}",
        )


@dataclass(frozen=True)
class OwnReading:
    """The policy's own values of responses, row by row."""

    scores: Float[Tensor, "row category"] | None
    """Class scores at the answer positions; None for a readout that states the distribution."""
    log_class_mass: Float[Tensor, " row"] | None
    importance: Float[Tensor, " row"]
    """π(z)/π_engine(z) of what comes before the answer, at most `LARGEST_IMPORTANCE`."""


@torch.no_grad()
def own_reading(
    policy: Policy, batch: Batch, responses: Sequence[Response], request: Request, answer: AnswerTokens | None
) -> OwnReading:
    """Read responses by passes of the policy, in evaluation mode.

    Args:
        policy: The policy.
        batch: Items with their prompts.
        responses: `request.group_size` of them for each prompt, prompt by prompt.
        request: What was asked for.
        answer: Tokens of the class names; None for a readout that states the distribution.

    Raises:
        OtherWeights: The engine's log-probabilities are not those of the policy.
    """
    settings = PassSettings(
        answer,
        request.sampling.temperature or 1.0,
        request.share_prompt,
        class_mass=None if answer is None else "exact",
    )
    parts, differences, importance = [], [], []
    with policy.eval_mode():
        for prompts in _portions(batch, responses, request.group_size):
            rows = responses[prompts.start * request.group_size : prompts.stop * request.group_size]
            spans = _spans(policy, rows, request.group_size, reads=answer is not None)
            passed = score_spans(policy, batch.select(list(prompts)), spans, settings)
            parts.append(passed)
            for row, own in zip(rows, passed.log_probs, strict=True):
                difference = own[: len(row.ids)].cpu() - torch.tensor(row.log_probs)
                differences.append(difference)
                before = difference[: row.prefix] if answer is not None else difference
                importance.append(before.sum().exp().clamp(max=LARGEST_IMPORTANCE))
    _refuse_other_weights(torch.cat(differences))
    masses = [part.log_class_mass for part in parts if part.log_class_mass is not None]
    return OwnReading(
        None if answer is None else torch.cat([part.scores for part in parts]),
        torch.cat(masses) if masses else None,
        torch.stack(importance).to(policy.device),
    )


def _portions(batch: Batch, responses: Sequence[Response], group_size: int) -> Iterator[range]:
    """The prompts in portions of at most `PASS_TOKENS` tokens, or of one prompt."""
    lengths = batch.prompt.mask.sum(-1).tolist()
    start, tokens = 0, 0
    for prompt, length in enumerate(lengths):
        rows = responses[prompt * group_size : (prompt + 1) * group_size]
        more = length + sum(len(row.ids) + len(row.closing) for row in rows)
        if prompt > start and tokens + more > PASS_TOKENS:
            yield range(start, prompt)
            start, tokens = prompt, 0
        tokens += more
    yield range(start, len(lengths))


def _spans(policy: Policy, rows: Sequence[Response], group_size: int, *, reads: bool) -> list[ScoredSpan]:
    spans = []
    for number, row in enumerate(rows):
        ids, closing = (
            torch.tensor(tokens, dtype=torch.long, device=policy.device) for tokens in (row.ids, row.closing)
        )
        everything = torch.ones_like(ids, dtype=torch.bool)
        position = row.prefix if reads else None
        spans.append(ScoredSpan(number // group_size, ids, everything, position, closing if reads else None))
    return spans


def _refuse_other_weights(differences: Float[Tensor, " token"]) -> None:
    """Refuse responses to which the policy gives other log-probabilities than rounding explains."""
    off = float(differences.abs().mean()) if len(differences) else 0.0
    if not off <= MOST_MISMATCH:
        raise OtherWeights(off)
