"""Scores of the class names at the answer position: by their first token, or by all of their tokens."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.types import MassGradient
from lalm_ambig.policies.base import Policy
from lalm_ambig.readouts.logits import AnswerTokens


def inner_tokens(answer: AnswerTokens) -> tuple[tuple[int, ...], ...]:
    """Tokens of each name whose states are needed to score it: all but the last; none under `scoring: first`."""
    if answer.scoring == "first":
        return ((),) * len(answer.name_ids)
    return tuple(ids[:-1] for ids in answer.name_ids)


def category_scores(
    policy: Policy,
    answer: AnswerTokens,
    anchors: Float[Tensor, "row channel"],
    *,
    inside: Sequence[Sequence[Float[Tensor, "_ channel"]]] | None = None,
) -> Float[Tensor, "row category"]:
    r"""Score of each class, float32; the distribution is the softmax of the scores.

    Under `scoring: first` the logit of the name's first token. Under `scoring: sequence` the log-probability of the
    name in nats, the sum over its tokens $\sum_t \log \pi(y_t \mid y_{<t})$. The sum is not divided by the number of
    tokens; this choice is ours.

    Args:
        policy: The policy.
        answer: Tokens of the names.
        anchors: Hidden states of the last token before the answer position.
        inside: Per row and name, hidden states [token, channel] of its `inner_tokens`; None if there are none.
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


def log_class_mass(
    policy: Policy,
    answer: AnswerTokens,
    anchors: Float[Tensor, "row channel"],
    scores: Float[Tensor, "row category"],
    *,
    gradient: MassGradient = "exact",
) -> Float[Tensor, " row"]:
    r"""Log of the probability that the policy writes a class name at the answer position, in nats, at most 0.

    $\log \sum_c \pi(y_c)$ at temperature 1. Under `scoring: first` $y_c$ is the name's first token: its score $z_c$ is
    a logit, and the log of the partition function over the whole vocabulary is $z_1 - \log \pi(y_1)$. Under `scoring:
    sequence` $y_c$ is the whole name, whose log-probability is its score.

    Args:
        policy: The policy.
        answer: Tokens of the names.
        anchors: Hidden states of the last token before the answer position.
        scores: The classes' scores there (see `category_scores`).
        gradient: `exact`: of a class's score it is $(1 - m)\,\hat p_c$ at a mass m, so that what is likely becomes
            likelier. `even`: $(1 - m)/C$ for each of C classes, so that only their sum moves. The value is the same.
    """
    log_partition = torch.zeros_like(scores[:, 0])
    if answer.scoring == "first":
        first = torch.full((len(anchors),), answer.first_ids[0], device=anchors.device)
        log_partition = scores[:, 0] - policy.token_log_probs(anchors, first)
    exact = scores.logsumexp(-1)
    if gradient == "exact":
        return exact - log_partition
    even = scores.mean(-1) + (exact - scores.mean(-1)).detach()
    mass = (exact - log_partition).detach().exp().clamp(max=1)
    return even - log_partition + mass * (exact - even)  # the last term is 0, and its gradient is not
