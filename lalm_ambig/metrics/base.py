"""The interface of a metric: a function of sums over items, so that one formula serves every use.

`statistics` turns each item into a row of numbers, and `reduce` turns the sum of the rows into the value. The sum can
be weighted. It is exact under any number of processes (a torchmetrics state with `sum`). A value without some items is
that of the sum without their rows, which is all that intervals need (`evaluation/intervals.py`).

To add a metric, write a subclass in any file of this room; `all_metrics()` finds it. A mean over items is an `ItemMean`
with one method, `per_item`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import torch
import torchmetrics
from jaxtyping import Bool, Float
from torch import Tensor

import lalm_ambig.metrics
from lalm_ambig.core import distributed
from lalm_ambig.core.discovery import classes_of
from lalm_ambig.core.distributions import check_distribution


@dataclass(frozen=True)
class Answers:
    """Predictions, some of which could not be read."""

    predicted_dist: Float[Tensor, "item category"]
    """Uniform where the response could not be read."""
    parsed: Bool[Tensor, " item"]
    """False where the response could not be read."""
    draws: Float[Tensor, " item"] | None = None
    """Number of sampled labels that each prediction is the share of; None where predictions are no shares."""
    votes: Float[Tensor, " item"] | None = None
    """Number of votes that each target is the share of (see `vote_numbers`); None where nobody knows."""


class DistributionMetric(torchmetrics.Metric, ABC):
    """A metric of predicted against target distributions, accumulated in float64 on the CPU.

    Apple's GPUs have no float64, so the state stays on the CPU wherever the module around the metric moves.

    The state is named after the metric. A `MetricCollection` merges metrics for good if their states have one name and
    are equal after the first batch. Those of the JS divergence and the KL would be equal for perfect predictions.
    """

    name: ClassVar[str]
    """A name that states the convention: `js_div_bits`, `r2_pearson_item`, …"""
    label: ClassVar[str]
    """The head of its column in a table."""
    higher_is_better: ClassVar[bool | None]
    kind: ClassVar[Literal["mean", "ratio", "binned"]] = "ratio"
    """What it is of the sums: a mean over items, another ratio, or a sum over bins. It decides where there is an
    interval."""
    is_differentiable = False
    full_state_update = False
    bounds: ClassVar[tuple[float, float]]
    """Smallest and largest value it can take, for any number of classes."""
    needs_order: ClassVar[bool] = False
    """Whether it counts steps between classes; it then is computed only where classes have an order."""
    corrects_sampling: ClassVar[bool] = False
    """Whether it has a form that is unbiased in the number of sampled labels (see `sampling_excess`)."""
    needs_votes: ClassVar[bool] = False
    """Whether it takes off what the sampling of votes adds (see `votes_excess`). Its items are then those with two
    votes or more; without numbers of votes it has no value."""

    def __init__(self, n_categories: int) -> None:
        super().__init__(dist_sync_fn=_of_all_processes)
        self.n_categories = n_categories
        uniform = torch.full((1, n_categories), 1 / n_categories, dtype=torch.float64)
        width = self.statistics(uniform, uniform).shape[-1]
        self._state = f"{self.name}_sums"
        self.add_state(self._state, default=torch.zeros(width, dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        """Rows whose sum over items is enough to compute the metric.

        Args:
            label_dist: The targets, in float64.
            predicted_dist: The predictions, in float64.

        Returns:
            One row per item; all numbers are finite.
        """

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        """The rows of items whose response could not be read: those of the uniform distribution.

        Metrics of a label override this, so that no label is right.
        """
        return self.statistics(label_dist, torch.full_like(label_dist, 1 / label_dist.shape[-1]))

    def sampling_excess(
        self, predicted_dist: Float[Tensor, "item category"], draws: Float[Tensor, " item"]
    ) -> Float[Tensor, "item statistic"]:
        """What the sampling of shares adds to `statistics`, in an unbiased estimate; 0 where there is none.

        Args:
            predicted_dist: The shares of sampled labels.
            draws: Number of labels of each item.
        """
        return torch.zeros(())

    def votes_excess(
        self, label_dist: Float[Tensor, "item category"], votes: Float[Tensor, " item"]
    ) -> Float[Tensor, "item statistic"]:
        """What the sampling of votes adds to `statistics`, in an unbiased estimate; 0 where there is none.

        Args:
            label_dist: The shares of votes.
            votes: Number of votes of each item.
        """
        return torch.zeros(())

    def rows(
        self,
        label_dist: Float[Tensor, "item category"],
        predicted_dist: Float[Tensor, "item category"],
        parsed: Bool[Tensor, " item"] | None = None,
        draws: Float[Tensor, " item"] | None = None,
        votes: Float[Tensor, " item"] | None = None,
    ) -> Float[Tensor, "item statistic"]:
        """`statistics` of the items that could be read, and `unanswered` of the others.

        Args:
            label_dist: The targets.
            predicted_dist: The predictions.
            parsed: False where the response could not be read; None means that all could.
            draws: Number of sampled labels that each prediction is the share of. The rows are then those of the
                distribution that was sampled, as far as the metric `corrects_sampling`. None for other predictions.
            votes: Number of votes that each target is the share of, for a metric that `needs_votes`. The rows of items
                with fewer than two are 0.
        """
        rows = self.statistics(label_dist, predicted_dist)
        if draws is not None and self.corrects_sampling:
            rows = rows - self.sampling_excess(predicted_dist, draws)
        if parsed is not None and not bool(parsed.all()):
            rows = torch.where(parsed[:, None], rows, self.unanswered(label_dist))
        if not self.needs_votes:
            return rows
        if votes is None:
            return torch.zeros_like(rows)
        return torch.where((votes >= 2)[:, None], rows - self.votes_excess(label_dist, votes), 0)

    @abstractmethod
    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        """The metric's value from sums of rows, for any number of them at once; NaN where it is undefined."""

    @property
    def sums(self) -> Float[Tensor, " statistic"]:
        """The sum of all rows added so far, in float64."""
        sums: Tensor = getattr(self, self._state)
        return sums

    def _apply(self, fn: Callable[[Tensor], Tensor], *_: Any) -> "DistributionMetric":
        """Leave the state where and as it is, whatever `to`, `half` and the like ask of the module around it."""
        return self

    def update(
        self,
        label_dist: Float[Tensor, "item category"],
        predicted_dist: Float[Tensor, "item category"],
        parsed: Bool[Tensor, " item"] | None = None,
        votes: Float[Tensor, " item"] | None = None,
    ) -> None:
        """Add a batch of items.

        Args:
            label_dist: The targets.
            predicted_dist: The predictions.
            parsed: False where the response could not be read; None means that all could.
            votes: Number of votes of each target, for a metric that `needs_votes`.

        Raises:
            ValueError: A row is not a distribution; the message names it.
        """
        label_dist, predicted_dist = label_dist.cpu(), predicted_dist.cpu()
        check_distribution(label_dist, "target")
        check_distribution(predicted_dist, "predicted")
        rows = self.rows(
            label_dist.double(),
            predicted_dist.double(),
            None if parsed is None else parsed.cpu(),
            votes=None if votes is None else votes.cpu().double(),
        )
        setattr(self, self._state, self.sums + rows.sum(0))

    def compute(self) -> Tensor:
        """The value over all items added so far (scalar)."""
        return self.reduce(self.sums)


def _of_all_processes(state: Tensor, group: Any = None) -> list[Tensor]:  # noqa: ARG001  # torchmetrics gives it
    """The states of all processes, sent as plain objects: NCCL takes no tensor of the CPU."""
    return distributed.all_gather_object(state)


class ItemMean(DistributionMetric):
    """A metric that is the mean of one number per item; NaN without items."""

    kind = "mean"

    @abstractmethod
    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        """The number of each item, finite."""

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return with_count(self.per_item(label_dist, predicted_dist))

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        return mean_of(sums)


def share_variance(
    shares: Float[Tensor, "item category"], draws: Float[Tensor, " item"]
) -> Float[Tensor, "item category"]:
    r"""Variance of the share of each class among $n$ sampled labels: the unbiased estimate $s(1-s)/(n-1)$.

    It is 0 for fewer than two labels, of which nothing can be estimated.

    >>> share_variance(torch.tensor([[0.75, 0.25]]), torch.tensor([4.0])).tolist()
    [[0.0625, 0.0625]]
    """
    estimable = (draws >= 2)[:, None]
    return torch.where(estimable, shares * (1 - shares) / (draws[:, None] - 1).clamp_min(1), 0)


def vote_numbers(votes: Sequence[Sequence[float]]) -> Float[Tensor, " item"]:
    """Number of votes of each item; 0 where they are shares or weights, of which nobody knows how many they are.

    Where one item has shares, no item of the set has draws: two raters who each share a vote between two classes also
    make whole numbers.

    Args:
        votes: By item and class.

    >>> vote_numbers([(2.0, 1.0), (4.0, 0.0)]).tolist(), vote_numbers([(2.0, 1.0), (0.5, 0.5)]).tolist()
    ([3.0, 4.0], [0.0, 0.0])
    """
    shares = has_shares(votes)
    numbers = [0.0 if shares else float(sum(row)) for row in votes]
    return torch.tensor(numbers, dtype=torch.float64)


def has_shares(votes: Sequence[Sequence[float]]) -> bool:
    """Whether a vote is no whole number, so that votes are shares or weights and no draws."""
    return any(vote != round(vote) for row in votes for vote in row)


def with_count(values: Float[Tensor, " item"]) -> Float[Tensor, "item 2"]:
    """Rows (value, 1): the statistics of a metric that is a mean over items."""
    return torch.stack([values, torch.ones_like(values)], dim=-1)


def mean_of(sums: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    """The mean from sums of `with_count` rows; NaN without items."""
    return sums[..., 0] / sums[..., 1]


def all_metrics(n_categories: int, *, ordered: bool = True) -> list[DistributionMetric]:
    """One instance of every metric in this room, sorted by name.

    Args:
        n_categories: Number of classes.
        ordered: False leaves out the metrics of ordered classes.
    """
    return [cls(n_categories) for cls in _classes(ordered)]


def formulas(n_categories: int, *, ordered: bool = True) -> list[DistributionMetric]:
    """`all_metrics` for names, rows and reductions only: instances that are shared, to which nothing is added.

    An instance costs a millisecond, and the intervals of one evaluation ask for hundreds.

    Args:
        n_categories: Number of classes.
        ordered: False leaves out the metrics of ordered classes.
    """
    return [_formula(cls, n_categories) for cls in _classes(ordered)]


@cache
def _formula(cls: type[DistributionMetric], n_categories: int) -> DistributionMetric:
    return cls(n_categories)


def _classes(ordered: bool) -> list[type[DistributionMetric]]:
    classes = classes_of(lalm_ambig.metrics, DistributionMetric).values()
    return sorted((cls for cls in classes if ordered or not cls.needs_order), key=lambda cls: cls.name)
