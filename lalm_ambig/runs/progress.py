"""The progress bar of training: epochs from 1, the loss, and the validation's metric that chooses the checkpoint."""

from typing import Any

from lalm_ambig.core.lightning_internals import CountedEpochs
from lalm_ambig.metrics.base import formulas


class RunBar(CountedEpochs):
    """A bar that fits in 80 columns. metrics.csv has the parts of the loss and all metrics."""

    def get_metrics(self, trainer: Any, pl_module: Any) -> dict[str, Any]:
        values = trainer.progress_bar_metrics
        shown = {"loss": values.get("train/loss"), _label(pl_module.monitor): values.get(pl_module.monitor)}
        return {name: value for name, value in shown.items() if value is not None}


def _label(monitor: str) -> str:
    """The word of a metric in the bar, which has little room: its label without what is in brackets.

    >>> _label("direct/js_div_bits")
    'val JS'
    """
    name = monitor.partition("/")[2]
    label = next((metric.label for metric in formulas(2) if metric.name == name), name)
    return f"val {label.split(' ')[0]}"
