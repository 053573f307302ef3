"""Scores of answers for single annotators: their errors, and the distribution that they make together.

Errors are means over items of the mean over an item's annotators, as the shared task has them (`metrics.annotators`).
Their intervals are over items, or speakers where any is known: the items of a test are new, while its annotators are
mostly those of the training items. The score by annotator is a mean over annotators, and so is its interval.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.distributions import majority
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.intervals import Clusters, Interval, mean_spread
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics.annotators import ErrorKind, error_kind, rating_errors

TOGETHER = "together"
"""Folder of the answers per item, inside that of answers for single annotators."""


@dataclass(frozen=True)
class ItemErrors:
    """The error of each item, and what of them is independent."""

    items: tuple[str, ...]
    errors: Float[Tensor, " item"]
    clusters: Clusters


@dataclass(frozen=True)
class AnnotatorScores:
    """The scores of a set of answers for single annotators."""

    items: int
    """Items that were judged."""
    annotators: int
    error_kind: ErrorKind
    """`distance` of ordered classes, `labels` of label sets, `rate` of others."""
    error: Interval
    """Mean over items of the mean error over the item's annotators. An answer that could not be read counts as uniform,
    and for `rate` as missed."""
    accuracy: Interval
    """Share of ratings whose most probable class is the annotator's; a mean over ratings."""
    accuracy_by_annotator: Interval
    """The same as a mean over annotators of each one's share."""
    together: dict[str, Interval]
    """Metrics of the mean of an item's answers against the votes of its annotators; empty for sampled labels."""
    by_item: "ItemErrors | None" = field(default=None, repr=False, compare=False)
    """The error of each item, for differences; in no file."""

    def error_less(self, other: "AnnotatorScores") -> Interval | None:
        """How much lower the error is than another's on the same items, paired.

        None for other items, and for scores that come from a file.

        Args:
            other: Scores of other answers.
        """
        ours, theirs = self.by_item, other.by_item
        if ours is None or theirs is None or ours.items != theirs.items:
            return None
        spread = mean_spread(theirs.errors - ours.errors, ours.clusters, bounds=(-1.0, 1.0))
        return Interval(spread.value, *spread.ends())


def is_of_pairs(predictions: Sequence[Prediction]) -> bool:
    """Whether predictions are of single annotators.

    Raises:
        InputError: Some are, and some are not.
    """
    named = [p.annotator is not None for p in predictions]
    if any(named) and not all(named):
        of_all, of_one = (predictions[named.index(one)].id for one in (False, True))
        raise InputError(
            f"item {of_all} is answered for all annotators together, and {of_one} for one:",
            where="predictions",
            remedy="keep the two apart.",
        )
    return any(named)


def of_items(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The answers for annotators as one answer per item: the mean distribution, each annotator counting once.

    The target are the votes of these annotators. A response that could not be read counts as uniform; where none of an
    item's could be read, neither can the item's.

    Args:
        predictions: Of single annotators.
    """
    groups = defaultdict[str, list[Prediction]](list)
    for prediction in predictions:
        groups[prediction.judged].append(prediction)
    return [_merged(name, group) for name, group in groups.items()]


def _merged(name: str, group: Sequence[Prediction]) -> Prediction:
    votes, dists = (
        torch.tensor([getattr(p, field) for p in group], dtype=torch.float64)
        for field in ("votes", "predicted_dist")
    )
    total, mean = votes.sum(0), dists.mean(0)
    masses = [p.class_mass for p in group if p.class_mass is not None]
    reasons = [p.unparsed for p in group]
    return Prediction(
        name,
        group[0].split,
        group[0].speaker,
        tuple(total.tolist()),
        tuple((total / total.sum()).tolist()),
        tuple((mean / mean.sum()).tolist()),
        class_mass=sum(masses) / len(masses) if len(masses) == len(group) else None,
        unparsed=reasons[0] if all(reasons) else None,
    )


def annotator_scores(
    predictions: Sequence[Prediction],
    categories: CategorySet,
    *,
    clusters: Clusters,
    together: Mapping[str, Interval],
) -> AnnotatorScores:
    """Score answers for single annotators.

    Args:
        predictions: At least one, each of one annotator.
        categories: The classes.
        clusters: What of the predictions is independent.
        together: Metrics of `of_items`.
    """
    target, predicted = (
        torch.tensor([getattr(p, field) for p in predictions], dtype=torch.float64)
        for field in ("label_dist", "predicted_dist")
    )
    errors = rating_errors(target, predicted, names=categories.names, ordered=categories.ordered)
    kind = error_kind(categories.names, ordered=categories.ordered)
    read = torch.tensor([p.unparsed is None for p in predictions])
    errors = torch.where(read, errors, torch.ones_like(errors)) if kind == "rate" else errors
    right = ((majority(target) == majority(predicted)) & read).double()
    judged = [p.judged for p in predictions]
    item_errors, places = _means(errors, judged)
    groups = None if clusters.groups is None else tuple(clusters.groups[at] for at in places)
    per_item = replace(clusters, groups=groups)
    persons, _ = _means(right, [str(p.annotator) for p in predictions])
    return AnnotatorScores(
        items=len(item_errors),
        annotators=len(persons),
        error_kind=kind,
        error=_interval(item_errors, per_item),
        accuracy=_interval(right, clusters),
        accuracy_by_annotator=_interval(persons, Clusters()),
        together=dict(together),
        by_item=ItemErrors(tuple(judged[at] for at in places), item_errors, per_item),
    )


def _means(
    values: Float[Tensor, " rating"], names: Sequence[str]
) -> tuple[Float[Tensor, " group"], list[int]]:
    """The mean of the values of each name, and the first place of each, in the order of these."""
    places = defaultdict[str, list[int]](list)
    for at, name in enumerate(names):
        places[name].append(at)
    means = torch.stack([values[own].mean() for own in places.values()])
    return means, [own[0] for own in places.values()]


def _interval(values: Float[Tensor, " value"], clusters: Clusters) -> Interval:
    spread = mean_spread(values, clusters, bounds=(0.0, 1.0))
    return Interval(spread.value, *spread.ends())
