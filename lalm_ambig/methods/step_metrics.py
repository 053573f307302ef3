"""A training step's numbers over all processes: the loss to log, and what each process's own counts."""

from collections.abc import Mapping

from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Loss


class NotFinite(InputError):
    """A loss that is NaN or infinite."""


class StepMetrics:
    """What is logged of the last step, by its name in the log."""

    def __init__(self) -> None:
        self.parts: dict[str, Tensor] = {}
        """The loss and its parts."""
        self.values: dict[str, Tensor] = {}
        """What was sampled for this step, or for the one before whose responses it still uses."""

    def step(self, batch: Batch, loss: Loss, values: Mapping[str, Tensor]) -> float:
        """Take a step's numbers, and return what this process's loss is multiplied by so that the mean over processes,
        which strategies take of gradients, is the mean over items. All processes must call.

        Raises NotFinite in all of them where a loss is not finite, naming the items of that step.
        """
        count = len(batch.items)
        lost = [] if bool(loss.total.isfinite()) else [item.id for item in batch.items]
        counts, not_finite = zip(*distributed.all_gather_object((count, lost)), strict=True)
        if any(not_finite):
            raise NotFinite(
                f"the loss is not finite in a step with items {_listed([i for ids in not_finite for i in ids])}.",
                where="training",
                remedy="Look at these items, lower model.optimiser.learning_rate, or set its not_finite to skip; "
                "the same command goes on from the last checkpoint.",
            )
        own = {"loss": loss.total.detach(), **loss.parts}
        own = {name: value.expand(int(loss.units.get(name, count))) for name, value in own.items()}
        self.parts = {f"train/{name}": value for name, value in distributed.all_reduce_means(own).items()}
        found = {f"train/{name}": value for name, value in distributed.all_reduce_means(values).items()}
        self.values = found or self.values
        return float(count * len(counts) / sum(counts))


def _listed(ids: list[str], *, most: int = 8) -> str:
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
