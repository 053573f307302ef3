"""A metric is a function of sums over items, so that one formula serves everything.

`statistics` turns each item into a row of numbers; `reduce` turns the rows' (weighted) sum into the value. Adding up
is exact under any number of processes (torchmetrics state with `sum`), and a bootstrap of R resamples is one matrix
product of the resampling counts [R, item] with the rows [item, statistic].

To add one, write `metrics/NAME.py` with one subclass; `all_metrics()` finds it.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torchmetrics
from jaxtyping import Float
from torch import Tensor

import lalm_ambig.metrics


class DistributionMetric(torchmetrics.Metric, ABC):
    """A metric of predicted against target distributions, accumulated in float64."""

    name: ClassVar[str]
    """States the convention: `js_div_bits`, `r2_pearson_item`, …"""
    label: ClassVar[str]
    """For a table's head."""
    higher_is_better: ClassVar[bool | None]
    is_differentiable = False
    full_state_update = False
    bounds: ClassVar[tuple[float, float]]
    """Smallest and largest value it can take."""
    total: Tensor

    def __init__(self, n_categories: int) -> None:
        super().__init__()
        self.n_categories = n_categories
        width = self.statistics(*[torch.full((1, n_categories), 1 / n_categories)] * 2).shape[-1]
        self.add_state("total", default=torch.zeros(width, dtype=torch.float64), dist_reduce_fx="sum")

    @abstractmethod
    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        """One row of numbers an item, whose sum over items is enough to compute the metric. float64."""

    @abstractmethod
    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        """The metric's value from sums of rows, for any number of resamples at once; NaN where undefined."""

    def update(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> None:
        """Add a batch of items. Raises ValueError naming the row that is not a distribution."""
        rows = self.statistics(label_dist.double(), predicted_dist.double())
        self.total = self.total + rows.sum(0).to(self.total.device)

    def compute(self) -> Tensor:
        """The value over all items added so far (scalar)."""
        return self.reduce(self.total)


def all_metrics(n_categories: int) -> list[DistributionMetric]:
    """One instance of every metric in this package, by module name."""
    for module in sorted(m.name for m in pkgutil.iter_modules(lalm_ambig.metrics.__path__)):
        importlib.import_module(f"lalm_ambig.metrics.{module}")
    ours = [c for c in _subclasses(DistributionMetric) if c.__module__.startswith(lalm_ambig.metrics.__name__)]
    return [cls(n_categories) for cls in sorted(ours, key=lambda cls: cls.__module__) if hasattr(cls, "name")]


def _subclasses(cls: type[DistributionMetric]) -> list[type[DistributionMetric]]:
    return [found for sub in cls.__subclasses__() for found in (sub, *_subclasses(sub))]
