"""Groups of responses with given distributions, by either readout, for two items with two classes."""

import torch

from lalm_ambig.core.types import Groups

LABEL = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
"""People's distributions: one item they are divided on, one they agree on."""
Rows = list[list[list[float]]]
"""[group][rollout][category]"""


def scored(logits: Rows, formed: list[list[bool]]) -> Groups:
    """Responses read from logits."""
    scores = torch.tensor(logits)
    return _groups(scores.softmax(-1), scores, torch.tensor(formed), None)


def stated(dists: Rows, reasons: list[list[str | None]] | None = None) -> Groups:
    """Responses that state a distribution in the right form; `reasons` says which could not be read."""
    dist = torch.tensor(dists)
    why = reasons or [[None] * dist.shape[1]] * dist.shape[0]
    formed = torch.ones(dist.shape[:2], dtype=torch.bool)
    return _groups(dist, None, formed, tuple(tuple(row) for row in why))


def _groups(
    dist: torch.Tensor,
    scores: torch.Tensor | None,
    formed: torch.Tensor,
    unparsed: tuple[tuple[str | None, ...], ...] | None,
) -> Groups:
    shape = (*dist.shape[:2], 1)
    yes = torch.ones(shape, dtype=torch.bool)
    return Groups(
        torch.zeros(shape, dtype=torch.long), yes, ~yes, torch.zeros(shape), dist, scores, formed,
        ~formed, ~formed, (("x",) * shape[1],) * shape[0], unparsed,
    )  # fmt: skip
