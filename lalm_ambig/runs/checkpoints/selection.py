"""How the checkpoint of a run was chosen: `selection.json`, and its table of the validation split."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lalm_ambig.baselines.prior import mean_label_dist
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.evaluation.responses import UNREAD, choosing_value, responses_table
from lalm_ambig.evaluation.table import PARSED, interval_cell, metric_columns
from lalm_ambig.files.atomic import write_text
from lalm_ambig.metrics.base import all_metrics, vote_numbers
from lalm_ambig.tabular.model import BEST, Cell, ResultTable, TableRow, ranked


@dataclass(frozen=True)
class Validation:
    """The result of one validation, by the reading that is evaluated."""

    step: int
    """Optimiser steps before it; 0 at the start, −1 if an older version did not record it."""
    items: int
    """Number of items, over all processes."""
    metrics: dict[str, float]
    """Value of every metric. `predicted_sd` and `label_sd` are the deviations of answers and people between items."""

    def choosing_value(self, metric: str) -> float:
        """By what this validation is compared with others (see `responses.choosing_value`)."""
        return choosing_value(self.metrics[metric], self.metrics.get("parsed"))


@dataclass(frozen=True)
class Selection:
    """The content of `selection.json`."""

    monitor: str
    """The reading and the metric that chose. The lowest value is the best; an answer that cannot be read adds 1."""
    items: int
    """Validation items that were read for it."""
    of: int
    """Items of the validation split."""
    ids: tuple[str, ...] | None
    """Their ids, if they are not the whole split."""
    prior: dict[str, float]
    """Metrics of the training split's mean distribution on these items."""
    start: Validation | None
    """The policy before training; None where it was not read."""
    chosen: Validation
    """The one whose weights are the best."""
    validations: int
    """Number of validations to choose from, with the start."""
    stopped_at: int | None = None
    """Step at which training ended early; None where it did not, and in files of older versions."""
    waited: int = 0
    """Validations in a row that were not better, after which it ended."""

    @property
    def metric(self) -> str:
        """Name of the metric that chose."""
        return self.monitor.partition("/")[2]


def prior_metrics(items: Sequence[Item], *, train: Sequence[Item]) -> dict[str, float]:
    """Return every metric of the training split's mean distribution on these items."""
    label_dist = torch.tensor([item.label_dist for item in items], dtype=torch.float64)
    predicted_dist = torch.tensor(mean_label_dist(train), dtype=torch.float64).expand_as(label_dist)
    values, votes = {}, vote_numbers([item.drawn_votes for item in items])
    for metric in all_metrics(label_dist.shape[1]):
        metric.update(label_dist, predicted_dist, votes=votes)
        values[metric.name] = float(metric.compute())
    return values


def write_selection(path: Path, selection: Selection) -> None:
    """Write a selection. Numbers that are not finite are null."""
    write_text(path, json.dumps(_finite(asdict(selection)), indent=2, allow_nan=False) + "\n")


def read_selection(path: Path) -> Selection | None:
    """Return the selection of a file; None if there is no file, since the run was never validated.

    Raises:
        InputError: The file is something else.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        start, ids = content.pop("start"), content.pop("ids")
        return Selection(
            **{**content, "prior": _numbers(content["prior"]), "chosen": _validation(content["chosen"])},
            start=None if start is None else _validation(start),
            ids=None if ids is None else tuple(ids),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError("not the record of how weights were chosen", where=str(path)) from error


def _validation(content: dict[str, Any]) -> Validation:
    return Validation(**{**content, "metrics": _numbers(content["metrics"])})


def _numbers(values: dict[str, float | None]) -> dict[str, float]:
    return {name: float("nan") if value is None else value for name, value in values.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, float) and not torch.isfinite(torch.tensor(value)):
        return None
    return value


def early_stop_line(step: int, *, waited: int, monitor: str) -> str:
    """Why training ended early, in one sentence without a full stop.

    Args:
        step: Optimiser steps before the end.
        waited: Validations in a row that were not better.
        monitor: What they were compared by.
    """
    return (
        f"stopped early at step {step}: none of the last {waited} validations was better by {monitor} than the best "
        "before (run.patience)"
    )


def choice_line(selection: Selection) -> str:
    """Which checkpoint was chosen, by what and on how many items: for the table of the validation split."""
    step = f"step {selection.chosen.step}" if selection.chosen.step >= 0 else "one of an older version"
    return (
        f"Checkpoint: {step}, of {selection.validations} validations the lowest {selection.monitor}, on "
        f"{_items(selection)}{_unread(selection)}. So the trained row is no test."
    )


def _unread(selection: Selection) -> str:
    return f"; {UNREAD}" if "parsed" in selection.chosen.metrics else ""


def selection_table(selection: Selection, *, before: str, columns: Sequence[str]) -> ResultTable:
    """Prior, start and chosen checkpoint on the validation items that chose it.

    Args:
        selection: How it was chosen.
        before: Name of the start's row.
        columns: Names of the metrics.
    """
    metrics = {"prior": selection.prior}
    if selection.start is not None:
        metrics[before] = selection.start.metrics
    step = selection.chosen.step
    metrics[f"chosen (step {step})" if step >= 0 else "chosen"] = selection.chosen.metrics
    shown = metric_columns(columns)
    rows = [
        TableRow(
            (name,), tuple(interval_cell(Interval(values.get(c.key, math.nan), None, None)) for c in shown)
        )
        for name, values in metrics.items()
    ]
    text = (
        f"Validation: {_items(selection)}, of {selection.validations} validations the lowest {selection.monitor}"
        f"{_unread(selection)}."
    )
    if "parsed" not in selection.chosen.metrics:
        rows = ranked(rows, shown, among=range(len(rows)), ranking=BEST)
        return ResultTable(("validation",), shown, tuple(rows), (text,))
    parsed = (values.get("parsed") for values in metrics.values())
    rows = [
        replace(row, cells=(*row.cells, Cell() if share is None else Cell(share, text=f"{share:.1%}")))
        for row, share in zip(rows, parsed, strict=True)
    ]
    return ResultTable(("validation",), (*shown, PARSED), tuple(rows), (text,))


def selection_responses(selection: Selection, *, before: str) -> ResultTable | None:
    """Class mass, form and length of the responses to the same items; None where the validation has none of them.

    Args:
        selection: How the checkpoint was chosen.
        before: Name of the start's row.
    """
    rows = {before: selection.start.metrics} if selection.start is not None else {}
    table = responses_table({**rows, "chosen": selection.chosen.metrics}, head="validation")
    return None if table is None else replace(table, caption=())  # that of the test's table is above


def _items(selection: Selection) -> str:
    if selection.ids is None:
        return f"all {selection.of} items"
    return f"a sample of {selection.items} of {selection.of} items (speakers, parts and classes have their shares)"
