"""The numbers of a study, computed once for its tables, its figure and its JSON file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.evaluation.multiplicity import holm
from lalm_ambig.evaluation.responses import ResponseValues, response_values
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.seeds import (
    SeedDifference,
    StudyRow,
    check_same_items,
    difference_over_seeds,
    interval_over_seeds,
    mean_and_sd,
)


@dataclass(frozen=True)
class Outline:
    """What a study compares."""

    name: str
    title: str
    reference: str
    """Name of the row that the others are compared with."""
    metrics: tuple[str, ...]
    """Names of the columns. The first one is compared; it is a mean over items."""
    seeds: tuple[int, ...]
    """Seeds that every row should have."""


@dataclass(frozen=True)
class RowSummary:
    """A row with its interval and its paired difference."""

    row: StudyRow
    interval: Interval | None
    """Of the compared metric, over speakers or items, at the mean over seeds."""
    difference: SeedDifference | None
    """From the reference; None for the reference itself, and where the two share no seed."""
    p_holm: float | None = None
    """p of the difference, adjusted for the number of rows."""

    @property
    def responses(self) -> ResponseValues:
        """Class mass, form and length of the responses, as means over the seeds that have them."""
        seeds = [response_values(run.results) for run in self.row.runs]
        keys = seeds[0] if seeds else ()
        return {key: mean_and_sd([v for one in seeds if (v := one[key]) is not None])[0] for key in keys}


@dataclass(frozen=True)
class Summary:
    """Every row of a study, and the reference rows of its runs."""

    outline: Outline
    rows: tuple[RowSummary, ...]
    references: Mapping[str, Results]
    """`prior`, `probe` and `panel`, as far as there are any."""

    @property
    def compared(self) -> str:
        """Name of the compared metric."""
        return self.outline.metrics[0]

    @property
    def reference(self) -> RowSummary:
        """The row that the others are compared with."""
        return next(one for one in self.rows if one.row.name == self.outline.reference)

    @property
    def finished(self) -> tuple[RowSummary, ...]:
        """The rows that have a finished run."""
        return tuple(one for one in self.rows if one.row.runs)

    @property
    def first(self) -> Results:
        """The results of the first finished run. All are on its items."""
        return next(run.results for one in self.rows for run in one.row.runs)

    def record(self) -> dict[str, Any]:
        """All numbers as plain JSON; an infinite or undefined value is null."""
        first, outline = self.first, asdict(self.outline)
        content = {
            "study": outline.pop("name"),
            **outline,
            "corpus": first.about.corpus,
            "split": first.about.split,
            "items": first.items,
            "items_digest": first.items_digest,
            "clusters": first.clusters,
            "n_clusters": first.n_clusters,
            "rows": [self._record(one) for one in self.rows],
            "references": {
                name: {
                    metric: asdict(row.metrics[metric])
                    for metric in self.outline.metrics
                    if metric in row.metrics
                }
                for name, row in self.references.items()
            },
        }
        found: dict[str, Any] = _finite(content)
        return found

    def _record(self, one: RowSummary) -> dict[str, Any]:
        row = one.row
        return {
            "name": row.name,
            "label": row.label,
            "seeds": [run.seed for run in row.runs],
            "metrics": {name: _over_seeds(row.metric(name)) for name in self.outline.metrics},
            "validation": {self.compared: _over_seeds(row.validation(self.compared))},
            "interval": None if one.interval is None else asdict(one.interval),
            "difference": None
            if one.difference is None
            else {**asdict(one.difference.difference), "p_holm": one.p_holm, "seeds": one.difference.seeds},
            "chosen": [run.chosen for run in row.runs],
            "training": [asdict(effort) for effort in row.efforts(with_starts=False)],
            "training_with_starts": [asdict(effort) for effort in row.efforts(with_starts=True)],
            "responses": dict(one.responses),
        }


def summarise(outline: Outline, rows: Sequence[StudyRow], references: Mapping[str, Results]) -> Summary:
    """Compute the intervals and the paired differences of a study.

    Args:
        outline: What is compared.
        rows: Its rows; at least one has a finished run.
        references: Reference rows by name.

    Raises:
        InputError: Two runs are not on the same items.
    """
    check_same_items(rows)
    reference = next(row for row in rows if row.name == outline.reference)
    compared = outline.metrics[0]
    differences = [
        None if row is reference else difference_over_seeds(row, reference, compared) for row in rows
    ]
    adjusted = holm([None if found is None else found.difference.p for found in differences])
    summaries = tuple(
        RowSummary(row, interval_over_seeds(row, compared), found, p)
        for row, found, p in zip(rows, differences, adjusted, strict=True)
    )
    return Summary(outline, summaries, references)


def _over_seeds(values: Sequence[float]) -> dict[str, Any]:
    average, deviation = mean_and_sd(values)
    return {"mean": average, "sd": deviation, "by_seed": list(values)}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
