r"""The scores of the shared tasks on learning with disagreements, with their rounding, as functions of plain lists.

`targets` are the organisers' soft labels or annotations, `predictions` what is submitted, item by item in one order.
The organisers round, and their soft labels in some files are rounded to two digits and do not sum to 1. So these
functions take them as they are. `manhattan` and `wasserstein` of this room are the same measures for distributions,
with intervals and without rounding.

Sources: *LeWiDi 2025* for the distances, *LeWiDi 2023* for the cross-entropy and micro-F1, and Kurniawan et al. (2025),
arXiv:2502.01891, for soft accuracy and soft micro-F1.
"""

import math
from collections.abc import Callable, Sequence

Rows = Sequence[Sequence[float]]
"""One list per item."""
Score = Callable[[Rows, Rows], float]
"""A score of predictions against targets."""
DIGITS = 5
"""Digits to which the organisers round."""
LEAST_SHARE = 1e-12
"""Smallest predicted share in the cross-entropy."""


def manhattan(targets: Rows, predictions: Rows) -> float:
    r"""Mean Manhattan distance, in [0, 2]: MultiPICo's soft score. Each $\sum_k |p_k - t_k|$ is rounded, then the mean.

    >>> manhattan([[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]])
    0.5
    """
    return round(_mean([round(_distance(t, p), DIGITS) for t, p in _pairs(targets, predictions)]), DIGITS)


def multilabel_manhattan(targets: Sequence[Rows], predictions: Sequence[Rows]) -> float:
    """Mean over items of `manhattan` over an item's labels, in [0, 2]: VariErrNLI's soft score.

    Args:
        targets: Per item and label, the shares of no and yes.
        predictions: The same.

    >>> multilabel_manhattan([[[1.0, 0.0], [0.5, 0.5]]], [[[0.5, 0.5], [0.5, 0.5]]])
    0.5
    """
    scores = [manhattan(t, p) for t, p in zip(targets, predictions, strict=True)]
    return round(_mean(scores), DIGITS)


def wasserstein(targets: Rows, predictions: Rows) -> float:
    r"""Mean Wasserstein distance over bins with the cost $|h - k|$: the soft score of CSC and Par.

    It is $\sum_k |F_k - \hat F_k|$ over all bins. Where both have the same mass this is the optimal transport that the
    organisers compute. Where rounded labels have another mass, it adds the difference at the last bin; the
    organisers' library refuses such a pair.

    >>> wasserstein([[1.0, 0.0, 0.0]], [[0.5, 0.0, 0.5]])
    1.0
    """
    return round(_mean([_transport(t, p) for t, p in _pairs(targets, predictions)]), DIGITS)


def error_rate(targets: Rows, predictions: Rows) -> float:
    """Mean over items of the share of annotators whose label is missed, in [0, 1]: MultiPICo's perspectivist score.

    Args:
        targets: Per item, the label (0 or 1) of each annotator.
        predictions: The labels predicted for them. Each item's share is rounded.

    >>> error_rate([[0.0, 1.0]], [[0.0, 0.0]])
    0.5
    """
    shares = [round(1 - (len(t) - _distance(t, p)) / len(t), DIGITS) for t, p in _pairs(targets, predictions)]
    return _mean(shares)


def multilabel_error_rate(targets: Sequence[Rows], predictions: Sequence[Rows]) -> float:
    """Mean over items of `error_rate` over an item's labels, in [0, 1]: VariErrNLI's perspectivist score.

    >>> multilabel_error_rate([[[0.0, 1.0], [1.0, 1.0]]], [[[0.0, 0.0], [1.0, 1.0]]])
    0.25
    """
    return _mean([error_rate(t, p) for t, p in zip(targets, predictions, strict=True)])


def normalised_distance(targets: Rows, predictions: Rows, *, steps: int) -> float:
    """Mean over items of the mean distance of annotators' labels, over the steps of the scale: CSC and Par.

    Args:
        targets: Per item, the label of each annotator.
        predictions: The labels predicted for them.
        steps: Number of steps of the scale: 6 for CSC, 11 for Par.

    >>> normalised_distance([[1.0, 6.0]], [[1.0, 3.0]], steps=6)
    0.25
    """
    return _mean([_distance(t, p) / len(t) / steps for t, p in _pairs(targets, predictions)])


def cross_entropy(targets: Rows, predictions: Rows) -> float:
    r"""Mean of $-\sum_k t_k \ln p_k$, in nats: the soft score of 2023. A share below 1e-12 counts as 1e-12.

    >>> round(cross_entropy([[0.0, 1.0]], [[0.5, 0.5]]), 4)
    0.6931
    """
    return _mean(
        [
            -sum(share * math.log(max(q, LEAST_SHARE)) for share, q in zip(t, p, strict=True))
            for t, p in _pairs(targets, predictions)
        ]
    )


def micro_f1(targets: Sequence[int], predictions: Rows) -> float:
    r"""Micro-averaged F1 of the largest class against the organisers' hard labels, in [0, 1]: the hard score of 2023.

    With one label per item, $2 \mathrm{TP} / (2 \mathrm{TP} + \mathrm{FP} + \mathrm{FN})$ over all classes is the
    share of items whose label is right. A tie in a prediction goes to the first class.

    Args:
        targets: Per item, the position of its hard label.
        predictions: Per item, the predicted shares.

    >>> micro_f1([1, 0], [[0.4, 0.6], [0.4, 0.6]])
    0.5
    """
    pairs = zip(targets, predictions, strict=True)
    return _mean([float(max(range(len(p)), key=lambda k: (p[k], -k)) == label) for label, p in pairs])


def soft_accuracy(targets: Rows, predictions: Rows) -> float:
    r"""Mean over items of $\sum_k \min(t_k, p_k)$, in [0, 1] for distributions.

    >>> soft_accuracy([[1.0, 0.0]], [[0.75, 0.25]])
    0.75
    """
    return _mean([_shared(t, p) for t, p in _pairs(targets, predictions)])


def soft_micro_f1(targets: Rows, predictions: Rows) -> float:
    r"""$2 \sum \min(t, p) / \sum (t + p)$ over items and labels, in [0, 1]; equal to `soft_accuracy` for distributions.

    Args:
        targets: Per item, the share of people who chose each label; these need not sum to 1.
        predictions: The same.

    >>> soft_micro_f1([[1.0, 0.5]], [[0.5, 0.5]])
    0.8
    """
    pairs = _pairs(targets, predictions)
    if not pairs:
        raise ValueError("there is no item to score")
    return 2 * sum(_shared(t, p) for t, p in pairs) / sum(sum(t) + sum(p) for t, p in pairs)


def _pairs(targets: Rows, predictions: Rows) -> list[tuple[Sequence[float], Sequence[float]]]:
    """The items with their predictions.

    Raises:
        ValueError: There are not as many predictions as items.
    """
    return list(zip(targets, predictions, strict=True))


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(abs(p - t) for t, p in zip(one, other, strict=True)))


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(min(t, p) for t, p in zip(one, other, strict=True)))


def _transport(one: Sequence[float], other: Sequence[float]) -> float:
    ahead, work = 0.0, 0.0
    for t, p in zip(one, other, strict=True):
        ahead += t - p
        work += abs(ahead)
    return work


def _mean(values: Sequence[float]) -> float:
    """The mean over items.

    Raises:
        ValueError: There is no item.
    """
    if not values:
        raise ValueError("there is no item to score")
    return sum(values) / len(values)
