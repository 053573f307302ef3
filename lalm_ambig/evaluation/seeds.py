"""Results of one method over several seeds, and its paired difference from another method.

A value is the mean over seeds. All seeds of a speaker's items are left out together, and how far seeds differ is part
of every interval and p.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean, stdev

import torch
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.comparison import answers_of
from lalm_ambig.evaluation.effort import Effort, added
from lalm_ambig.evaluation.intervals import Difference, Interval, intervals, paired
from lalm_ambig.evaluation.pairing import ComparedRun, check_pairable
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results, clusters_of
from lalm_ambig.metrics.base import Answers, DistributionMetric, formulas


@dataclass(frozen=True)
class SeedRun:
    """The result of a method with one seed."""

    name: str
    """The run's."""
    seed: int
    results: Results
    predictions: Sequence[Prediction]
    validation: Mapping[str, float] = field(default_factory=dict)
    """Metric → value on the validation items that chose the checkpoint; empty where there were none."""
    efforts: tuple[Effort | None, ...] = ()
    """What training took: of the run itself, then of the runs that it starts from. None where it was not recorded."""
    chosen: int | None = None
    """Updates before the validation that chose the weights, 0 for the start; None without one."""


@dataclass(frozen=True)
class StudyRow:
    """A method with the results of its seeds, in their order."""

    name: str
    label: str
    runs: tuple[SeedRun, ...]
    """Empty where no run is finished."""

    def metric(self, name: str) -> list[float]:
        """The value of a metric on the test items for each seed that has it."""
        return [run.results.metrics[name].value for run in self.runs if name in run.results.metrics]

    def validation(self, name: str) -> list[float]:
        """The value of a metric on the validation items for each seed that has it."""
        return [run.validation[name] for run in self.runs if name in run.validation]

    def efforts(self, *, with_starts: bool) -> list[Effort]:
        """What each seed took, where all of it was recorded.

        Args:
            with_starts: Add updates and seconds of the runs that it starts from.
        """
        chains = [run.efforts if with_starts else run.efforts[:1] for run in self.runs]
        return [added(known) for chain in chains if chain and (known := _known(chain))]


@dataclass(frozen=True)
class SeedDifference:
    """The paired difference of two methods, over the seeds that both have."""

    difference: Difference
    seeds: tuple[int, ...]


def _known(chain: Sequence[Effort | None]) -> list[Effort]:
    """The efforts; none where one is missing."""
    return [] if None in chain else [effort for effort in chain if effort is not None]


def mean_and_sd(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The mean and the standard deviation between seeds (n − 1 in the denominator).

    Returns:
        None for the mean of nothing, and for the deviation of fewer than two values or of one that is not finite.

    >>> mean_and_sd([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    has_deviation = len(values) > 1 and all(map(math.isfinite, values))
    return (mean(values) if values else None), (stdev(values) if has_deviation else None)


def check_same_items(rows: Sequence[StudyRow]) -> None:
    """Refuse rows that cannot be compared item by item.

    Raises:
        InputError: Two runs are not on the same items with the same votes. The message names both and the first
            difference.
    """
    runs = [run for row in rows for run in row.runs]
    compared = [ComparedRun(run.name, run.results, run.predictions) for run in runs]
    for other in compared[1:]:
        check_pairable(compared[0], other, where="study")


def with_every_metric(run: SeedRun) -> SeedRun:
    """The run with the metrics that there were not yet when it was evaluated."""
    results, order = run.results, run.predictions
    every = formulas(len(results.categories), ordered=results.ordered)
    missing = [one for one in every if one.name not in results.metrics]
    if not missing:
        return run
    clusters = clusters_of(order, results.about.corpus)
    found = intervals(missing, _target(order), predicted_dist=answers_of(order), clusters=clusters)
    return replace(run, results=replace(results, metrics={**results.metrics, **found}))


def interval_over_seeds(row: StudyRow, metric: str) -> Interval | None:
    """The mean of a metric over seeds with its 95 % interval over speakers, or over items.

    Args:
        row: The method.
        metric: Name of a metric.

    Returns:
        None for a method without a finished run.
    """
    if not row.runs:
        return None
    order = row.runs[0].predictions
    found = intervals(
        [_metric(metric, row.runs[0])],
        _target(order),
        predicted_dist=_answers(row.runs, order=order),
        clusters=clusters_of(order, row.runs[0].results.about.corpus),
    )
    return found[metric]


def difference_over_seeds(first: StudyRow, second: StudyRow, metric: str) -> SeedDifference | None:
    """First minus second method of a metric: the mean over items of each item's mean difference over seeds.

    Args:
        first: One method.
        second: The other, on the same items.
        metric: Name of a metric.

    Returns:
        The difference over the seeds that both have; None if there is no such seed.
    """
    others = {run.seed: run for run in second.runs}
    pairs = [(run, others[run.seed]) for run in first.runs if run.seed in others]
    if not pairs:
        return None
    order = pairs[0][0].predictions
    ours, theirs = (_answers([pair[side] for pair in pairs], order=order) for side in (0, 1))
    found = paired(
        [_metric(metric, pairs[0][0])],
        _target(order),
        first=ours,
        second=theirs,
        clusters=clusters_of(order, pairs[0][0].results.about.corpus),
    )
    return SeedDifference(found[metric], tuple(run.seed for run, _ in pairs))


def _answers(runs: Sequence[SeedRun], *, order: Sequence[Prediction]) -> list[Answers]:
    """The answers of each seed, to the items in that order."""
    by_id = [{p.id: p for p in run.predictions} for run in runs]
    return [answers_of([answers[p.id] for p in order]) for answers in by_id]


def _target(predictions: Sequence[Prediction]) -> Tensor:
    return torch.tensor([p.label_dist for p in predictions], dtype=torch.float64)


def _metric(name: str, run: SeedRun) -> DistributionMetric:
    """The metric of that name. One that needs ordered classes is refused where they have no order."""
    metric = next(m for m in formulas(len(run.results.categories)) if m.name == name)
    if metric.needs_order and not run.results.ordered:
        wrong = f"metric {name} counts steps between ordered classes, and those of {run.name} have no order:"
        raise InputError(wrong, where="study", remedy="name another metric.")
    return metric
