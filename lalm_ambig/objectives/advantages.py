r"""Advantages: how much better each response is than the others of its group.

Sources: ambiguity-aware LALM, between eq. 6 and 7, with σ alone in the denominator; SHALA-LLM, eq. 6 and 10.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Scale = Literal["group", "batch", "none", "leave_one_out"]
"""Divisor of the difference from the group's mean: the deviation within the group (the papers' form), the deviation
over all groups of the optimiser step, or nothing. A reward's weight that is constant within a group does not act under
the first. `leave_one_out` is the difference from the mean of the *other* responses, undivided (the RLOO baseline): for
K responses K/(K − 1) times `none`, the same direction."""
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
        scale: See `Scale`; `group` and `leave_one_out` need 2 responses in the baseline, `batch` 2 groups.
        baseline: True on the responses that count in $\mu$ and $\sigma$; by default all. The others still get an
            advantage.

    >>> advantages(torch.tensor([[1.0, 2.0, 6.0]]), scale="none").tolist()
    [[-2.0, -1.0, 3.0]]
    >>> [round(value, 3) for value in advantages(torch.tensor([[1.0, 2.0, 6.0]]))[0].tolist()]
    [-0.756, -0.378, 1.134]
    >>> advantages(torch.tensor([[1.0, 2.0, 6.0]]), scale="leave_one_out").tolist()
    [[-3.0, -1.5, 4.5]]
    """
    return scaled(centred(rewards, baseline=baseline), rewards, scale=scale, baseline=baseline)


def centred(
    rewards: Float[Tensor, "group rollout"], *, baseline: Bool[Tensor, " rollout"] | None = None
) -> Float[Tensor, "group rollout"]:
    """Difference of each reward from the mean of its group's baseline."""
    compared = rewards if baseline is None else rewards[:, baseline]
    return rewards - compared.mean(-1, keepdim=True)


def scaled(
    differences: Float[Tensor, "group rollout"],
    rewards: Float[Tensor, "compared rollout"],
    *,
    scale: Scale,
    baseline: Bool[Tensor, " rollout"] | None = None,
) -> Float[Tensor, "group rollout"]:
    """Differences from the mean as `scale` divides them.

    Args:
        differences: Of the rewards, or of a part of them: the parts' results then add up to the whole's.
        rewards: The whole rewards, whose deviation is the divisor. Under `batch` those of all groups of the step.
        scale: See `Scale`.
        baseline: See `advantages`.
    """
    compared = rewards if baseline is None else rewards[:, baseline]
    if scale == "none":
        return differences
    if scale == "leave_one_out":  # one that is not in the baseline is not one of the others' mean
        count = compared.shape[-1]
        is_in = torch.ones_like(rewards[0], dtype=torch.bool) if baseline is None else baseline
        return torch.where(is_in.to(rewards.device), differences * (count / (count - 1)), differences)
    deviation = compared.std(-1, keepdim=True) if scale == "group" else compared.std()
    return differences / (deviation + EPSILON)


def without_spread(rewards: Float[Tensor, "group rollout"]) -> Bool[Tensor, " group"]:
    """True on groups whose responses all earned the same: nothing can be learnt from them.

    >>> without_spread(torch.tensor([[0.5, 0.5], [0.5, 0.6]])).tolist()
    [True, False]
    """
    return torch.isclose(rewards, rewards[:, :1], rtol=0.0, atol=1e-8).all(-1)
