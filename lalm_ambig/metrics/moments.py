"""Second moments of two variables as sums, and the correlation that follows from them."""

import torch
from jaxtyping import Float
from torch import Tensor

CONSTANT_VARIANCE = 1e-10
"""Variance under which a variable counts as constant: rounding of float32 inputs stays under it."""


def moments(x: Float[Tensor, "item *pair"], y: Float[Tensor, "item *pair"]) -> Float[Tensor, "item 6"]:
    """Rows (1, x, y, x², y², xy), each summed over an item's pairs."""
    terms = [torch.ones_like(x), x, y, x * x, y * y, x * y]
    return torch.stack([term.flatten(1).sum(1) if term.ndim > 1 else term for term in terms], dim=-1)


def covariances(
    sums: Float[Tensor, "*batch 6"],
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Var x, Var y and Cov(x, y), each divided by the number of pairs; NaN without pairs."""
    n, x, y, xx, yy, xy = sums.double().unbind(-1)
    return xx / n - (x / n) ** 2, yy / n - (y / n) ** 2, xy / n - (x / n) * (y / n)


def correlation(sums: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch"]:
    """Pearson correlation in [−1, 1]; NaN where one of the variables is constant."""
    var_x, var_y, cov = covariances(sums)
    varies = (var_x > CONSTANT_VARIANCE) & (var_y > CONSTANT_VARIANCE)
    return torch.where(varies, cov / (var_x * var_y).clamp_min(CONSTANT_VARIANCE**2).sqrt(), torch.nan).clamp(
        -1, 1
    )
