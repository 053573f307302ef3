"""The bins of a calibration error: confidence against what was observed."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

BINS = 15


def binned_gap(
    confidence: Float[Tensor, "item"], observed: Float[Tensor, "item"]
) -> Float[Tensor, "item statistic"]:
    """Rows of 15 equal bins of the confidence, [b/15, (b+1)/15) and the last one closed, holding
    confidence − observed in the item's bin, and a 1 that counts the item."""
    index = (confidence * BINS).long().clamp(0, BINS - 1)
    gap = one_hot(index, BINS) * (confidence - observed).unsqueeze(-1)
    return torch.cat([gap, torch.ones_like(gap[..., :1])], dim=-1)


def calibration_error(sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
    """Σ over bins of (items in it / items) · |mean confidence − mean observed|, in [0, 1]; NaN without
    items."""
    return sums[..., :BINS].abs().sum(-1) / sums[..., BINS]
