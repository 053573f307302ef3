"""Advantages of a group's responses: how much better than its fellows each of them was (below A(6))."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Scale = Literal["group", "batch", "none"]
"""What the difference from the group's mean is divided by: the deviation within the group (the papers' form), over all
groups of the batch, or nothing. Only the last two let a reward's weight that is constant within a group act."""
EPSILON = 1e-4
"""Added to the deviation, so that a group without spread has advantages 0, not 0/0."""


def advantages(
    rewards: Float[Tensor, "group rollout"],
    *,
    scale: Scale = "group",
    baseline: Bool[Tensor, " rollout"] | None = None,
) -> Float[Tensor, "group rollout"]:
    """(r − μ) / (σ + ε), with μ the mean over a group and σ the sample standard deviation (K − 1) that `scale` names.

    Args:
        rewards: Finite, one a response.
        scale: See `Scale`; `group` needs 2 responses in the baseline, `batch` 2 groups.
        baseline: True on the responses that count in μ and σ; by default all. The others still get an advantage.
    """
    counted = rewards if baseline is None else rewards[:, baseline]
    centred = rewards - counted.mean(-1, keepdim=True)
    if scale == "none":
        return centred
    deviation = counted.std(-1, keepdim=True) if scale == "group" else counted.std()
    return centred / (deviation + EPSILON)


def without_spread(rewards: Float[Tensor, "group rollout"]) -> Bool[Tensor, " group"]:
    """Groups whose responses all earned the same: nothing can be learnt from them."""
    return torch.isclose(rewards, rewards[:, :1], rtol=0.0, atol=1e-8).all(-1)
