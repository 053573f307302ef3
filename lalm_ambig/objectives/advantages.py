r"""Advantages: how much better each response is than the others of its group.

Sources: ambiguity-aware LALM, between eq. 6 and 7, with σ alone in the denominator; SHALA-LLM, eq. 6 and 10.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Scale = Literal["group", "batch", "none"]
"""Divisor of the difference from the group's mean: the deviation within the group (the papers' form), the deviation
over all groups of the batch, or nothing. A reward's weight that is constant within a group acts only under the last
two."""
EPSILON = 1e-4
"""Added to the deviation, so that a group without spread has advantages 0, not 0/0. SHALA-LLM's ε, whose value is
ours."""


def advantages(
    rewards: Float[Tensor, "group rollout"],
    *,
    scale: Scale = "group",
    baseline: Bool[Tensor, " rollout"] | None = None,
) -> Float[Tensor, "group rollout"]:
    r"""Advantages of each group's responses.

    $$\hat A_{n,k} = \frac{r_{n,k} - \mu_n}{\sigma + ε}$$

    $\mu_n$ is the mean over a group, and $\sigma$ the sample standard deviation (K − 1) that `scale` names.

    Args:
        rewards: One finite number per response.
        scale: See `Scale`; `group` needs 2 responses in the baseline, `batch` 2 groups.
        baseline: True on the responses that count in $\mu$ and $\sigma$; by default all. The others still get an
            advantage.

    >>> advantages(torch.tensor([[1.0, 2.0, 6.0]]), scale="none").tolist()
    [[-2.0, -1.0, 3.0]]
    >>> [round(value, 3) for value in advantages(torch.tensor([[1.0, 2.0, 6.0]]))[0].tolist()]
    [-0.756, -0.378, 1.134]
    """
    compared = rewards if baseline is None else rewards[:, baseline]
    centred = rewards - compared.mean(-1, keepdim=True)
    if scale == "none":
        return centred
    deviation = compared.std(-1, keepdim=True) if scale == "group" else compared.std()
    return centred / (deviation + EPSILON)


def without_spread(rewards: Float[Tensor, "group rollout"]) -> Bool[Tensor, " group"]:
    """True on groups whose responses all earned the same: nothing can be learnt from them.

    >>> without_spread(torch.tensor([[0.5, 0.5], [0.5, 0.6]])).tolist()
    [True, False]
    """
    return torch.isclose(rewards, rewards[:, :1], rtol=0.0, atol=1e-8).all(-1)
