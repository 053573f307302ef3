"""The noise floor at any number of votes: `oracle` and `panel` of n votes, as exact expected values under q.

`floor` defines q. `oracle` is the expected score of q against n votes drawn from it, which is also how far n votes are
from the distribution behind them, if that is q. `panel` is that of n votes against n others. The scores are means over
every draw: the count of a class is binomial, and a divergence is a sum over classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.class_terms import ClassTerms
from lalm_ambig.evaluation.vote_subsets import VotedItems, over_classes, weighted


def oracle_noise(items: VotedItems, drawn: int, terms: ClassTerms, *, alpha: float) -> Float[Tensor, " item"]:
    """Expected distance of n votes drawn from q from q itself, per item.

    Args:
        items: The items; n may be more than their votes.
        drawn: n.
        terms: The distance, by class: of the target, n votes, and the prediction, q.
        alpha: α of q.
    """

    def expected(count: Tensor, size: Tensor) -> Tensor:
        behind = _share(items, count, size, alpha)
        shares = torch.arange(drawn + 1).double() / drawn
        return weighted(binomial_chances(behind, drawn), terms(shares, behind[:, None]))

    return over_classes(items, expected, width=drawn + 1)


def panel_noise(items: VotedItems, drawn: int, terms: ClassTerms, *, alpha: float) -> Float[Tensor, " item"]:
    """Expected distance of n votes drawn from q from n others, per item.

    Args:
        items: The items; n may be more than their votes.
        drawn: n.
        terms: The distance, by class; a finite one.
        alpha: α of q.
    """
    shares = torch.arange(drawn + 1).double() / drawn
    between = terms(shares[:, None], shares)

    def expected(count: Tensor, size: Tensor) -> Tensor:
        chances = binomial_chances(_share(items, count, size, alpha), drawn)
        return ((chances @ between) * chances).sum(-1)

    return over_classes(items, expected, width=drawn + 1)


def binomial_chances(share: Float[Tensor, " place"], drawn: int) -> Float[Tensor, "place number"]:
    """Probability that 0 … n of n votes are for a class of that share.

    >>> binomial_chances(torch.tensor([0.5], dtype=torch.float64), 2).numpy().round(3).tolist()
    [[0.25, 0.5, 0.25]]
    """
    number = torch.arange(drawn + 1).double()
    ways = torch.lgamma(torch.tensor(drawn + 1.0).double()) - torch.lgamma(number + 1)
    ways = ways - torch.lgamma(drawn - number + 1)
    share = share[:, None]
    return (ways + torch.xlogy(number, share) + torch.xlogy(drawn - number, 1 - share)).exp()


def _share(items: VotedItems, count: Tensor, size: Tensor, alpha: float) -> Tensor:
    classes = items.votes.shape[-1]
    return (count.double() + alpha) / (size.double() + classes * alpha)
