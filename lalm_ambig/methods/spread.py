"""How far answers differ between items: a policy that no longer looks at them answers the same for all."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.distributions import deviation_between_items


@dataclass
class Spread:
    """The answers of one validation, of this process."""

    label_dist: list[Tensor] = field(default_factory=list)
    predicted_dist: list[Tensor] = field(default_factory=list)
    items: int = 0
    """Items of the last validation that was pooled, of all processes."""

    def add(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> None:
        """Add a batch."""
        self.label_dist.append(label_dist.detach().cpu().double())
        self.predicted_dist.append(predicted_dist.detach().cpu().double())

    def pooled(self) -> dict[str, Tensor]:
        """Standard deviations between items of the answers and of people's distributions, over all processes.

        All processes must call. What was added is then forgotten.

        Returns:
            `predicted_sd` and `label_sd`; empty without answers.
        """
        parts = [
            part
            for lists in distributed.all_gather_object((self.label_dist, self.predicted_dist))
            for part in zip(*lists, strict=True)
        ]
        self.label_dist, self.predicted_dist = [], []
        self.items = sum(len(label_dist) for label_dist, _ in parts)
        if not self.items:
            return {}
        label_dist, predicted_dist = (torch.cat(rows) for rows in zip(*parts, strict=True))
        return {
            "predicted_sd": deviation_between_items(predicted_dist),
            "label_sd": deviation_between_items(label_dist),
        }
