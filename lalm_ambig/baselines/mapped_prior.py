"""The prior of one corpus as a prediction for another: what transfers without listening (A, Table 3)."""

from collections.abc import Sequence

from lalm_ambig.baselines.base import predict_same
from lalm_ambig.baselines.prior import mean_label_dist
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def mapped_prior(
    items: Sequence[Item], *, train: Sequence[Item], trained: CategorySet, categories: CategorySet
) -> list[Prediction]:
    """The mean label distribution of `train`, mapped to `categories`, restricted to them and renormalised.

    A class that `trained` does not have gets 0: nobody there was offered it. InputError where the two share no
    class that anybody chose, or for what `prior` refuses.
    """
    mean = mean_label_dist(train)
    shares = [0.0 if place is None else mean[place] for place in categories.positions_in(trained)]
    if not sum(shares):
        raise InputError(
            f"no training item has a vote for any of {', '.join(categories.names)}", where="mapped prior"
        )
    return predict_same(items, tuple(share / sum(shares) for share in shares))
