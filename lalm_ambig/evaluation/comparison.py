"""Two results on the same items: the difference of every metric, by a paired bootstrap."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.bootstrap import LEVEL, Difference, Resampling, intervals, paired, too_few
from lalm_ambig.evaluation.notes import FEW_SPEAKERS
from lalm_ambig.evaluation.overlap import marked_name
from lalm_ambig.evaluation.pairing import ComparedRun, check_pairable
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import speakers
from lalm_ambig.metrics.base import Answers, DistributionMetric, all_metrics
from lalm_ambig.tabular.model import MISSING, Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import plain_markdown

HOW_TO_READ = (
    "In bold: the interval of the difference excludes 0. Each p is of one metric alone, not adjusted for the number "
    "of metrics."
)
FEW = "So few speakers make the intervals too narrow and p too small."


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of both runs, and the difference."""

    metric: DistributionMetric
    first: float
    """NaN where undefined, inf where infinite."""
    second: float
    difference: Difference
    """First minus second."""


@dataclass(frozen=True)
class Comparison:
    """The metrics of two runs, and how they were compared."""

    first: ComparedRun
    second: ComparedRun
    rows: tuple[ComparedMetric, ...]
    resampling: Resampling

    def warnings(self) -> list[str]:
        """Sentences on what makes the two runs unequal in kind; a command prints them in colour."""
        one, other = self.first.results.about, self.second.results.about
        overlaps = [
            (name, about.trained_items)
            for name, about in (("first", one), ("second", other))
            if about.trained_items is not None
        ]
        sentences = [f"{name}: {note}." for name, overlap in overlaps for note in overlap.notes]
        if one.readout != other.readout and "none" not in (one.readout, other.readout):
            sentences.append(
                f"THE READOUTS DIFFER: first {one.readout}, second {other.readout}. What is compared are models "
                "with their readouts, not models alone."
            )
        if one.reasoning != other.reasoning and "none" not in (one.reasoning, other.reasoning):
            sentences.append(f"The reasoning differs: first {one.reasoning}, second {other.reasoning}.")
        return sentences

    def table(self) -> ResultTable:
        """A row per metric; a difference whose interval excludes 0 is in bold."""
        first, second = (
            marked_name(name, side.results.about.trained_items)
            for name, side in (("first", self.first), ("second", self.second))
        )
        labels = (first, second, f"first − second ({LEVEL:.0%} interval)", "p")
        rows = tuple(self._table_row(row) for row in self.rows)
        columns = tuple(Column(label, label) for label in labels)
        return ResultTable(("metric",), columns, rows, tuple(self.caption().splitlines()))

    def _table_row(self, row: ComparedMetric) -> TableRow:
        metric, difference = row.metric, row.difference
        direction = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
        is_clear = excludes_zero(difference)
        cells = (
            Cell(row.first),
            Cell(row.second),
            Cell(text=difference_text(difference), rank=1 if is_clear else 0),
            Cell(text=p_text(difference.p, self.resampling.resamples)),
        )
        return TableRow((f"{metric.name}{direction}",), cells)

    def caption(self) -> str:
        """The two runs, the items, the resampling, and how to read the columns."""
        about, count = self.first.results.about, len(self.first.predictions)
        how = too_few(count, self.resampling) or (
            f"{LEVEL:.0%} intervals and two-sided p from {self.resampling.resamples} bootstrap resamples of "
            f"{self._units} {self.resampling.unit}, each drawn once for both"
        )
        lines = [
            f"first: {_who(self.first)}",
            f"second: {_who(self.second)}",
            f"{about.corpus}, {about.part_of_corpus}, the same {count} items (paired by id); {how}.",
        ]
        if not too_few(count, self.resampling):
            lines += [FEW] if self.resampling.groups and self._units < FEW_SPEAKERS else []
            lines.append(HOW_TO_READ)
        return "\n".join(lines)

    @property
    def _units(self) -> int:
        return self.resampling.indices(len(self.first.predictions))[1]

    def markdown(self) -> str:
        """The table as Markdown, warnings first."""
        return "".join(f"**{line}**\n\n" for line in self.warnings()) + plain_markdown(self.table())

    def record(self) -> dict[str, Any]:
        """The comparison as plain JSON; an infinite or undefined value is null."""
        about, count = self.first.results.about, len(self.first.predictions)
        return {
            "first": _identity(self.first),
            "second": _identity(self.second),
            "corpus": about.corpus,
            "split": about.split,
            "items": count,
            "items_digest": self.first.results.items_digest,
            "resampled": self.resampling.unit,
            "resampled_count": self._units,
            "resamples": self.resampling.resamples,
            "seed": self.resampling.seed,
            "warnings": self.warnings(),
            "metrics": {
                row.metric.name: _finite(
                    {"first": row.first, "second": row.second, "difference": asdict(row.difference)}
                )
                for row in self.rows
            },
        }


def compare(
    first: ComparedRun,
    second: ComparedRun,
    *,
    metrics: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare two runs: first minus second of each metric, by a paired bootstrap.

    Args:
        first: One run.
        second: The other; it is on the same items.
        metrics: Names of metrics, in the order of the rows; None takes all.
        resamples: Bootstrap resamples, each drawn once for both runs. Speakers are drawn if any is known, else items.
        seed: Seed of the resampling.

    Raises:
        InputError: The runs are not on the same items with the same votes and targets, or a metric does not exist.
    """
    check_pairable(first, second)
    chosen = chosen_metrics(metrics, n_categories=len(first.results.categories))
    by_id = {p.id: p for p in second.predictions}
    paired_with = [by_id[p.id] for p in first.predictions]
    target = _tensor([p.label_dist for p in first.predictions])
    ours, theirs = answers_of(first.predictions), answers_of(paired_with)
    resampling = Resampling(speakers(first.predictions), resamples, seed)
    differences = paired(chosen, target, first=ours, second=theirs, resampling=resampling)
    one, other = (
        intervals(chosen, target, predicted_dist=d, resampling=Resampling(None, 1)) for d in (ours, theirs)
    )
    rows = tuple(
        ComparedMetric(m, one[m.name].value, other[m.name].value, differences[m.name]) for m in chosen
    )
    return Comparison(first, second, rows, resampling)


def chosen_metrics(names: Sequence[str] | None, *, n_categories: int) -> list[DistributionMetric]:
    """The metrics of those names, or all.

    Raises:
        InputError: There is no metric of a name.
    """
    by_name = {metric.name: metric for metric in all_metrics(n_categories)}
    for name in names or ():
        if name not in by_name:
            raise InputError(
                f"unknown metric {name!r}: expected one of {', '.join(by_name)}", where="--metric"
            )
    return [by_name[name] for name in names or by_name]


def _who(side: ComparedRun) -> str:
    about, rate = side.results.about, side.results.parse_rate
    parts = [
        "no readout" if about.readout == "none" else f"{about.readout} readout, {about.reasoning} reasoning"
    ]
    parts += [] if rate is None else [f"{rate:.1%} of responses could be read"]
    parts += [about.policy, *([] if about.trained_on is None else [f"trained on {about.trained_on}"])]
    return f"{side.name} ({'; '.join(parts)})"


def _identity(side: ComparedRun) -> dict[str, Any]:
    return {"name": side.name, **asdict(side.results.about), "parse_rate": side.results.parse_rate}


def answers_of(predictions: Sequence[Prediction]) -> Answers:
    """The predictions, which of them could be read (all, for a readout of logits), and what they are the share of."""
    parsed = torch.tensor([p.unparsed is None for p in predictions])
    labels = [p.labels for p in predictions]
    draws = None if None in labels else torch.tensor(labels, dtype=torch.float64)
    return Answers(_tensor([p.predicted_dist for p in predictions]), parsed, draws)


def _tensor(rows: Sequence[tuple[float, ...]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def excludes_zero(difference: Difference) -> bool:
    """Whether the interval of a difference lies on one side of 0; False without an interval."""
    low, high = difference.low, difference.high
    return low is not None and high is not None and (low > 0 or high < 0)


def difference_text(difference: Difference) -> str:
    """A difference with its sign and its interval, as tables have it."""
    if not math.isfinite(difference.value):
        return MISSING
    value = f"{difference.value:+.3f}"
    if difference.low is None or difference.high is None:
        return value
    return f"{value} ({difference.low:+.3f} to {difference.high:+.3f})"


def p_text(p: float | None, resamples: int) -> str:
    """A bootstrap p as tables have it; one that is the smallest possible is written as a bound."""
    if p is None:
        return MISSING
    smallest = 2 / (resamples + 1)
    return f"≤ {smallest:.2g}" if p <= smallest else f"{p:.3f}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
