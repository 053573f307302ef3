r"""Temperature scaling: one number, fitted on validation items, that sharpens or flattens every prediction alike.

The logits of a softmax are $\log \hat p$ up to a constant. The prediction at temperature $T$ is therefore

$$\hat p_T \propto \hat p^{1/T}.$$

The majority class never changes. The scaled prediction is reported beside the plain one, never in its place.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import kl_from_logits
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import Prediction

WIDEST = math.log(100)
"""T is sought in [1/100, 100]."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""Share of an interval that a step of the search keeps."""
CLOSEST = 1e-6
"""Width of log T at which the search ends."""


def fit_temperature(predictions: Sequence[Prediction]) -> float:
    """The temperature T that minimises the mean KL(p ‖ p̂_T) over these items, in [1/100, 100].

    The divergence is convex in 1/T.

    Raises:
        InputError: There is no item, or a prediction has a 0, which no temperature moves.
    """
    if not predictions:
        raise InputError("there is no validation item to fit a temperature on.", where="temperature scaling")
    logits = _logits(predictions)
    label_dist = torch.tensor([p.label_dist for p in predictions], dtype=torch.float64)

    def divergence(log_t: float) -> float:
        return float(kl_from_logits(label_dist, logits / math.exp(log_t)).mean())

    return math.exp(_smallest(divergence, -WIDEST, WIDEST))


def _smallest(function: Callable[[float], float], low: float, high: float) -> float:
    """The place of the smallest value of a function with one minimum, by golden-section search."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > CLOSEST:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2


def apply_temperature(predictions: Sequence[Prediction], temperature: float) -> list[Prediction]:
    """The predictions at a temperature; their class mass is None, since it is no longer known."""
    dists = torch.softmax(_logits(predictions) / temperature, dim=-1)
    return [
        replace(p, predicted_dist=tuple(dist), class_mass=None)
        for p, dist in zip(predictions, dists.tolist(), strict=True)
    ]


def _logits(predictions: Sequence[Prediction]) -> Float[Tensor, "item category"]:
    for p in predictions:
        if min(p.predicted_dist) <= 0:
            raise InputError(
                f"item {p.id} is predicted with probability 0 on a class, which no temperature moves:",
                where="temperature scaling",
                remedy="it needs the logit readout.",
            )
    return torch.tensor([p.predicted_dist for p in predictions], dtype=torch.float64).log()
