r"""How far an answer misses what one annotator chose: the errors of the *perspectivist* task (*LeWiDi 2025*).

A distribution answers with one label, the one with the least expected error: of ordered classes the median, of label
sets every label that holds more than half of the probability, and of other classes the most probable one. Of equal ones
it is the first.

- Ordered classes: steps between answer and choice, over the C steps of the scale, in [0, (C-1)/C].
- Label sets: share of the labels for which answer and choice differ, in [0, 1].
- Other classes: 1 where the two differ, and 0 else.

For an annotator who chose several classes, the error is the mean over these.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

ErrorKind = Literal["distance", "labels", "rate"]
"""The error of ordered classes, of label sets, and of other classes."""
HALF = 0.5 + 1e-6
"""A label with more than this share is answered with; a median has at least 1 − HALF below it or at it. The millionth
is for rounding in single precision."""


def label_sets(names: Sequence[str]) -> tuple[tuple[int, ...], ...] | None:
    """The labels in each class, by position, where classes are sets of labels; None where they are not.

    A class is a set if its name is those of other classes with + between.

    >>> label_sets(["yes", "no", "yes+no"])
    ((0,), (1,), (0, 1))
    """
    single = [name for name in names if not _parts(name, names)]
    if len(single) == len(names):
        return None
    return tuple(tuple(single.index(part) for part in _parts(name, names) or [name]) for name in names)


def _parts(name: str, names: Sequence[str]) -> list[str]:
    parts = name.split("+")
    return parts if len(parts) > 1 and all(part in names for part in parts) else []


def error_kind(names: Sequence[str], *, ordered: bool) -> ErrorKind:
    """Which error is that of these classes.

    Args:
        names: The classes.
        ordered: Whether they are the steps of a scale.
    """
    return "distance" if ordered else "rate" if label_sets(names) is None else "labels"


def median_steps(predicted_dist: Float[Tensor, "rating category"]) -> Int[Tensor, " rating"]:
    """Position of the median; of two, the lower one.

    >>> median_steps(torch.tensor([[0.4, 0.2, 0.4], [0.5, 0.0, 0.5]])).tolist()
    [1, 0]
    """
    return (predicted_dist.double().cumsum(-1) < 1 - HALF).sum(-1)


def chosen_labels(
    predicted_dist: Float[Tensor, "rating category"], sets: Sequence[Sequence[int]]
) -> Float[Tensor, "rating label"]:
    """1 for each label with more than half of the probability, else 0.

    Args:
        predicted_dist: Distributions over label sets.
        sets: The labels in each class.
    """
    return (predicted_dist.double() @ _membership(sets) > HALF).double()


def rating_errors(
    label_dist: Float[Tensor, "rating category"],
    predicted_dist: Float[Tensor, "rating category"],
    *,
    names: Sequence[str],
    ordered: bool,
) -> Float[Tensor, " rating"]:
    """The error of each rating (see the head of this file).

    Args:
        label_dist: What the annotators chose: one class, or equal shares of several.
        predicted_dist: The answers.
        names: The classes.
        ordered: Whether they are the steps of a scale.

    >>> chosen = torch.tensor([[0.0, 0.0, 1.0]])
    >>> rating_errors(chosen, torch.tensor([[0.6, 0.0, 0.4]]), names=["low", "mid", "high"], ordered=True).item()
    0.6666666666666666
    """
    target, sets = label_dist.double(), label_sets(names)
    if ordered:
        steps = torch.arange(target.shape[-1], dtype=torch.float64)
        away = (steps - median_steps(predicted_dist)[:, None]).abs()
        return (target * away).sum(-1) / target.shape[-1]
    if sets is None:
        return 1 - target.gather(-1, predicted_dist.argmax(-1, keepdim=True))[:, 0]
    return (target @ _membership(sets) - chosen_labels(predicted_dist, sets)).abs().mean(-1)


def _membership(sets: Sequence[Sequence[int]]) -> Float[Tensor, "category label"]:
    """1 where a class has a label."""
    rows = torch.zeros(len(sets), 1 + max(max(labels) for labels in sets), dtype=torch.float64)
    for row, labels in zip(rows, sets, strict=True):
        row[list(labels)] = 1
    return rows
