"""Whether a response keeps the prescribed form: the second term of ambiguity-aware LALM, eq. 6."""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.types import Groups
from lalm_ambig.rewards.base import Reward


class Format(Reward):
    """1 for a response with the form that the readout asks for and nothing else, else 0.

    Logit readout: `<think>…</think><answer>NAME</answer>`. Verbalised: one JSON object that states a distribution. It
    is alone, or at the end of the reasoning where there is any.

    >>> Format().upper_bound(torch.tensor([[0.5, 0.5]])).tolist()
    [1.0]
    """

    minimum = 0.0

    def __init__(self, *, weight: float = 0.1) -> None:
        """Args:
        weight: λ3 of ambiguity-aware LALM, eq. 6.
        """
        super().__init__(weight=weight)

    def score(
        self, groups: Groups, label_dist: Float[Tensor, "group category"]
    ) -> Float[Tensor, "group rollout"]:
        return groups.well_formed.to(label_dist.dtype)

    @property
    def depends_on_name(self) -> bool:
        return True

    def upper_bound(self, label_dist: Float[Tensor, "group category"]) -> Float[Tensor, " group"]:
        return torch.ones_like(label_dist[:, 0])
