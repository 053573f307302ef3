r"""What each class adds to a divergence: the terms whose sum over the classes is the function of `distributions`.

A divergence that is a sum over classes has an expected value that is one, too. So the mean over every draw of n votes
needs the distribution of one class's count at a time, and no draws.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

ClassTerms = Callable[[Tensor, Tensor], Tensor]
"""Shares of people and predicted shares of one class, elementwise and broadcast → the class's term."""


def kl_terms(target: Float[Tensor, "*#place"], predicted: Float[Tensor, "*#place"]) -> Float[Tensor, "..."]:
    r"""Terms of `distributions.kl` in nats: $p_c \log (p_c / \hat p_c)$, in (−1, ∞].

    A term can be negative; the sum over classes cannot. It is ∞ where $\hat p_c = 0 < p_c$.

    >>> [round(term, 4) for term in kl_terms(torch.tensor([0.5, 0.0]), torch.tensor([0.25, 0.75])).tolist()]
    [0.3466, 0.0]
    """
    return torch.xlogy(target, target) - torch.xlogy(target, predicted)


def js_terms(target: Float[Tensor, "*#place"], predicted: Float[Tensor, "*#place"]) -> Float[Tensor, "..."]:
    r"""Terms of `distributions.js_divergence` in bits, each in [0, 1].

    $$\tfrac12 p_c \log_2 \frac{p_c}{m_c} + \tfrac12 \hat p_c \log_2 \frac{\hat p_c}{m_c},
    \quad m_c = \frac{p_c + \hat p_c}{2}$$

    >>> js_terms(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).tolist()
    [0.5, 0.5]
    """
    middle = (target + predicted) / 2
    nats = torch.xlogy(target, target) + torch.xlogy(predicted, predicted)
    return (nats - torch.xlogy(2 * middle, middle)) / (2 * math.log(2))


def brier_terms(
    target: Float[Tensor, "*#place"], predicted: Float[Tensor, "*#place"]
) -> Float[Tensor, "..."]:
    r"""Terms of `distributions.brier_sum`: $(p_c - \hat p_c)^2$, each in [0, 1].

    >>> brier_terms(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])).tolist()
    [0.25, 0.25]
    """
    return (target - predicted).square()
