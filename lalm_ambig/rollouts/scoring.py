"""Scores of the class names behind the answer's place: by their first token, or by all of their tokens."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.logits import AnswerTokens


def inner_tokens(answer: AnswerTokens) -> tuple[tuple[int, ...], ...]:
    """Of each name, the tokens whose states are needed to score it: all but the last, and none by the first token."""
    if answer.scoring == "first":
        return ((),) * len(answer.name_ids)
    return tuple(ids[:-1] for ids in answer.name_ids)


def category_scores(
    policy: Policy,
    answer: AnswerTokens,
    anchors: Float[Tensor, "row channel"],
    *,
    inside: Sequence[Sequence[Tensor]] | None = None,
) -> Float[Tensor, "row category"]:
    """What a softmax over the classes makes the distribution from, float32.

    `scoring: first`: the logit of each name's first token. `scoring: sequence`: the log-probability of each whole name,
    the sum over its tokens (SPEC 2), in nats.

    Args:
        policy: The policy.
        answer: The names' tokens.
        anchors: Hidden states behind `<answer>`.
        inside: Of each row and name, hidden states [token, channel] of its `inner_tokens`, where there are any.
    """
    if answer.scoring == "first":
        return policy.category_logits(anchors, torch.tensor(answer.first_ids, device=anchors.device))
    rows = []
    for number, anchor in enumerate(anchors):
        for name in range(len(answer.name_ids)):
            rows += [anchor[None], inside[number][name]] if inside is not None else [anchor[None]]
    ids = torch.tensor([token for name in answer.name_ids for token in name], device=anchors.device)
    values = policy.token_log_probs(torch.cat(rows), ids.repeat(len(anchors)))
    parts = torch.split(values.view(len(anchors), -1), [len(name) for name in answer.name_ids], dim=1)
    return torch.stack([part.sum(-1) for part in parts], dim=-1)
