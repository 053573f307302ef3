"""A training step's numbers over all processes: the loss and its parts, and what was sampled for the step."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Loss, Reading
from lalm_ambig.metrics.base import DistributionMetric


class NotFinite(InputError):
    """A loss, or an answer in a validation, that is NaN or infinite: training has diverged."""


def check_answers(batch: Batch, reading: Reading) -> None:
    """Check the answers of a validation.

    Args:
        batch: The items.
        reading: The policy's answers to them.

    Raises:
        NotFinite: One is no distribution of finite numbers.
    """
    finite = reading.predicted_dist.isfinite().all(-1).tolist()
    if not all(finite):
        suspects = [item.id for item, is_finite in zip(batch.items, finite, strict=True) if not is_finite]
        raise NotFinite(
            f"answers of the policy are not finite in a validation, to {_listed(suspects)}: training has diverged.",
            where="training",
            remedy="Lower model.optimiser.learning_rate; that is another run, with another name.",
        )


def validation_values(metrics: MetricCollection, *, shared_votes: bool) -> dict[str, Tensor]:
    """The metrics of a validation, by name. All processes must call.

    Args:
        metrics: With the answers of this process.
        shared_votes: Whether a vote of this process's items is no whole number. No item has draws then, also in a
            batch whose votes happen to be whole, and a metric that needs draws is NaN.
    """
    shared = any(distributed.all_gather_object(shared_votes))
    return {
        name: torch.full_like(value, torch.nan) if shared and _needs_votes(metrics[name]) else value
        for name, value in metrics.compute().items()
    }


def _needs_votes(metric: object) -> bool:
    return isinstance(metric, DistributionMetric) and metric.needs_votes


class StepMetrics:
    """Means over all processes of the last step, by name in the log."""

    def __init__(self) -> None:
        self.parts: dict[str, Tensor] = {}
        """The loss and its parts."""
        self.values: dict[str, Tensor] = {}
        """Numbers of the responses that were sampled for this step, or for an earlier one if it reuses them."""

    def reduce(self, batch: Batch, loss: Loss, values: Mapping[str, Tensor]) -> float:
        """Average a step's numbers over all processes, which must all call.

        Args:
            batch: This process's items.
            loss: This process's loss.
            values: Numbers per response, or empty where nothing was sampled.

        Returns:
            The loss scale n_local · world_size · passes / n_step, where n_step counts the items of the whole step. It
            turns the strategies' mean of gradients over ranks and passes into a mean over items.

        Raises:
            NotFinite: A loss of any process is NaN or infinite. All processes raise, and name the step's items.
        """
        count = len(batch.items)
        suspects = [] if bool(loss.total.isfinite()) else [item.id for item in batch.items]
        counts, not_finite = zip(*distributed.all_gather_object((count, suspects)), strict=True)
        if any(not_finite):
            raise NotFinite(
                f"the loss is not finite in a step with items {_listed([i for ids in not_finite for i in ids])}.",
                where="training",
                remedy="Look at these items, lower model.optimiser.learning_rate, or set its not_finite to skip; "
                "the same command goes on from the last checkpoint.",
            )
        parts = {"loss": loss.total.detach(), **loss.parts}
        parts = {name: value.expand(int(loss.units.get(name, count))) for name, value in parts.items()}
        self.parts = {f"train/{name}": value for name, value in distributed.all_reduce_means(parts).items()}
        means = {f"train/{name}": value for name, value in distributed.all_reduce_means(values).items()}
        begins = batch.step is None or batch.step.number == 0
        self.values = means or self.values if begins else self.values | means
        items, passes = (sum(counts), 1) if batch.step is None else (batch.step.items, batch.step.passes)
        return float(count * len(counts) * passes / items)


def _listed(ids: list[str], *, most: int = 8) -> str:
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
