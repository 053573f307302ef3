"""Two results, or families of seeds and folds, on the same items: each metric's difference, paired over speakers."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.intervals import (
    Clusters,
    Difference,
    can_mark,
    intervals,
    paired,
    too_few,
    without_interval,
)
from lalm_ambig.evaluation.multiplicity import holm
from lalm_ambig.evaluation.notes import ONE_SEED, TWO_GROUPS
from lalm_ambig.evaluation.overlap import Overlap, marked_name
from lalm_ambig.evaluation.pairing import ComparedRun, check_pairable
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import clusters_of, items_digest
from lalm_ambig.evaluation.spread import LEVEL
from lalm_ambig.evaluation.stages import OTHER_ITEMS, data_notes
from lalm_ambig.metrics.base import Answers, DistributionMetric, formulas, vote_numbers
from lalm_ambig.tabular.model import MISSING, Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import plain_markdown

HOW_TO_READ = (
    "Intervals and p are of one metric alone; p (Holm) allows for the number of metrics in the table. In bold: p "
    f"(Holm) is below {1 - LEVEL:.2f}. Effect: the difference over its standard deviation between {{unit}}."
)

FROM_SEEDS = "from seeds"
"""Column with the share of a difference's variance."""


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
    clusters: Clusters

    def warnings(self) -> list[str]:
        """Sentences on what makes the two runs unequal in kind; a command prints them in colour."""
        one, other = self.first.results.about, self.second.results.about
        notes = [
            f"{name}: {note}."
            for name, side in (("first", self.first), ("second", self.second))
            for overlap in _overlaps(side)
            for note in overlap.notes
        ]
        sentences = list(dict.fromkeys(notes))
        if one.readout != other.readout and "none" not in (one.readout, other.readout):
            sentences.append(
                f"THE READOUTS DIFFER: first {one.readout}, second {other.readout}. What is compared are models "
                "with their readouts, not models alone."
            )
        if one.reasoning != other.reasoning and "none" not in (one.reasoning, other.reasoning):
            sentences.append(f"The reasoning differs: first {one.reasoning}, second {other.reasoning}.")
        return sentences + [note for note in self._data_notes() if note.startswith(OTHER_ITEMS)]

    def _data_notes(self) -> list[str]:
        """Sentences on the items that both were trained on."""
        if "none" in (self.first.results.about.readout, self.second.results.about.readout):
            return []
        return data_notes({"first": self.first.all_pasts, "second": self.second.all_pasts})

    def table(self) -> ResultTable:
        """A row per metric; a difference whose interval excludes 0 is in bold."""
        first, second = (
            marked_name(name, next((one for one in _overlaps(side) if one.is_leaky), None))
            for name, side in (("first", self.first), ("second", self.second))
        )
        labels = [first, second, f"first − second ({LEVEL:.0%} interval)", "effect", "p", "p (Holm)"]
        labels += [FROM_SEEDS] if len(self.seeds) > 1 else []
        rows = tuple(self._table_row(row, p) for row, p in zip(self.rows, self.adjusted(), strict=True))
        columns = tuple(Column(label, label) for label in labels)
        return ResultTable(("metric",), columns, rows, tuple(self.caption().splitlines()))

    def adjusted(self) -> list[float | None]:
        """P of each row, adjusted for the number of rows."""
        return holm([row.difference.p for row in self.rows])

    def _table_row(self, row: ComparedMetric, adjusted: float | None) -> TableRow:
        metric, difference = row.metric, row.difference
        direction = {True: " ↑", False: " ↓", None: ""}[metric.higher_is_better]
        is_clear = is_significant(adjusted) and can_mark(self.clusters.unit, self._units)
        cells: tuple[Cell, ...] = (
            Cell(row.first),
            Cell(row.second),
            Cell(text=difference_text(difference), rank=1 if is_clear else 0),
            Cell(text=effect_text(difference)),
            Cell(text=p_text(difference.p)),
            Cell(text=p_text(adjusted)),
        )
        if len(self.seeds) > 1:
            share = difference.share_of_seeds
            cells += (Cell(text=MISSING if share is None else f"{share:.0%}"),)
        return TableRow((f"{metric.name}{direction}",), cells)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are compared; empty where no name has a place for them."""
        return self.first.seeds or self.second.seeds

    def caption(self) -> str:
        """The two runs, the items, the clusters, and how to read the columns."""
        about, count = self.first.results.about, len(self.first.predictions)
        how = too_few(count, self.clusters) or (
            f"{LEVEL:.0%} intervals and two-sided p over {self._units} {self.clusters.unit}, paired"
        )
        lines = [
            f"first: {_who(self.first)}",
            f"second: {_who(self.second)}",
            f"{about.corpus_and_part}, {about.part_of_corpus}, the same {count} items (paired by id); {how}.",
            *self._families(),
            *(note for note in self._data_notes() if not note.startswith(OTHER_ITEMS)),
        ]
        if not too_few(count, self.clusters):
            lines += (
                []
                if can_mark(self.clusters.unit, self._units)
                else [f"{TWO_GROUPS.format(unit=self.clusters.unit)}."]
            )
            lines += self._without_interval()
            lines.append(HOW_TO_READ.format(unit=self.clusters.unit))
        return "\n".join(lines)

    def _families(self) -> list[str]:
        """Which seeds and folds are joined, and what intervals then allow for."""
        lines = []
        if self.first.folds:
            lines.append(f"Folds {_listed(self.first.folds)} are pooled: every item counts once.")
        if len(self.seeds) > 1:
            lines.append(
                f"Means over seeds {_listed(self.seeds)}. Intervals and p allow for other seeds as well as other "
                f"{self.clusters.unit}; {FROM_SEEDS}: what of a difference's variance is from seeds."
            )
        sides = (("first", self.first), ("second", self.second))
        lines += [
            f"Of {name}, these seeds are not compared, since the other has none of that number: "
            f"{_listed(side.left_out)}."
            for name, side in sides
            if side.left_out
        ]
        one = [n for n, side in sides if len(side.by_seed) == 1 and side.results.about.readout != "none"]
        if one:
            lines.append(ONE_SEED.format(names=", ".join(one) + self._alone()))
        return lines

    def _alone(self) -> str:
        """The number of the only seed, where there is one."""
        return f" (seed {self.seeds[0]})" if len(self.seeds) == 1 else ""

    def _without_interval(self) -> list[str]:
        """Why metrics have no interval, or no value."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            reason = without_interval(row.metric, self._units, self.clusters.unit)
            if math.isinf(row.first) or math.isinf(row.second):
                reason = "a class that people chose was predicted with probability 0, so it is infinite"
            elif math.isnan(row.difference.value):
                reason = "it is undefined on these items"
            if reason is not None:
                reasons.setdefault(reason, []).append(row.metric.name)
        return [f"{', '.join(names)}: no interval: {reason}." for reason, names in reasons.items()]

    @property
    def _units(self) -> int:
        return self.clusters.indices(len(self.first.predictions))[1]

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
            "items_digest": items_digest(self.first.predictions),
            "clusters": self.clusters.unit,
            "n_clusters": self._units,
            "seeds": list(self.seeds),
            "folds": list(self.first.folds),
            "warnings": self.warnings(),
            "metrics": {
                row.metric.name: _finite(
                    {
                        "first": row.first,
                        "second": row.second,
                        "difference": asdict(row.difference),
                        "p_holm": adjusted,
                    }
                )
                for row, adjusted in zip(self.rows, self.adjusted(), strict=True)
            },
        }


def compare(
    first: ComparedRun,
    second: ComparedRun,
    *,
    metrics: Sequence[str] | None = None,
) -> Comparison:
    """Compare two runs: first minus second of each metric, paired over speakers if any is known, else over items.

    Args:
        first: One run or family.
        second: The other; it is on the same items. Of two families, the seeds that both have are compared.
        metrics: Names of metrics, in the order of the rows; None takes all.

    Raises:
        InputError: The runs are not on the same items with the same votes and targets, or a metric does not exist.
    """
    first, second = _shared_seeds(first, second)
    check_pairable(first, second)
    results = first.results
    chosen = chosen_metrics(metrics, n_categories=len(results.categories), ordered=results.ordered)
    target = _tensor([p.label_dist for p in first.predictions])
    ours, theirs = (_answers(side, order=first.predictions) for side in (first, second))
    clusters = clusters_of(first.predictions, first.results.about.corpus)
    differences = paired(chosen, target, first=ours, second=theirs, clusters=clusters)
    one, other = (intervals(chosen, target, predicted_dist=side) for side in (ours, theirs))
    rows = tuple(
        ComparedMetric(m, one[m.name].value, other[m.name].value, differences[m.name]) for m in chosen
    )
    return Comparison(first, second, rows, clusters)


def _shared_seeds(first: ComparedRun, second: ComparedRun) -> tuple[ComparedRun, ComparedRun]:
    """Both with the seeds that both have; a run without a number is paired with every seed of the other.

    Raises:
        InputError: They have no seed in common, or their folds differ.
    """
    if first.folds and second.folds and first.folds != second.folds:
        raise InputError(
            f"{first.name!r} has the folds {_listed(first.folds)}, {second.name!r} {_listed(second.folds)}.",
            where="compare",
            remedy="Name the same folds of both.",
        )
    if not first.seeds or not second.seeds:
        return first, second
    shared = [seed for seed in first.seeds if seed in second.seeds]
    if not shared:
        raise InputError(
            f"{first.name!r} has the seeds {_listed(first.seeds)}, {second.name!r} {_listed(second.seeds)}: none is "
            "in both.",
            where="compare",
            remedy="Train a seed of both, or name one run of each.",
        )
    return first.of_seeds(shared), second.of_seeds(shared)


def _answers(side: ComparedRun, *, order: Sequence[Prediction]) -> list[Answers]:
    """The answers of each seed, to the items in that order."""
    found = []
    for predictions in side.by_seed:
        by_id = {p.id: p for p in predictions}
        found.append(answers_of([by_id[p.id] for p in order]))
    return found


def _overlaps(side: ComparedRun) -> Sequence[Overlap]:
    own = side.results.about.trained_items
    return side.overlaps or ([] if own is None else [own])


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def chosen_metrics(
    names: Sequence[str] | None, *, n_categories: int, ordered: bool
) -> list[DistributionMetric]:
    """The metrics of those names, or all.

    Args:
        names: Names of metrics; None for all that the classes can have.
        n_categories: Number of classes.
        ordered: Whether they have an order.

    Raises:
        InputError: There is no metric of a name, or it needs classes with an order.
    """
    by_name = {metric.name: metric for metric in formulas(n_categories, ordered=ordered)}
    needing_order = {metric.name for metric in formulas(n_categories)} - set(by_name)
    for name in names or ():
        if name in needing_order:
            wrong = f"{name} counts steps between ordered classes, and these classes have no order:"
            raise InputError(wrong, where="--metric", remedy="leave it out.")
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
    count, policy = len(side.pasts), about.policy
    if side.left_out:  # the policy of the results may be of a seed that is left out
        policy = f"{count} of its runs"
    elif count > 1:
        policy = f"the first of {count} runs: {about.policy}"
    parts += [policy, *([] if about.trained_on is None else [f"trained on {about.trained_on}"])]
    return f"{side.name} ({'; '.join(parts)})"


def _identity(side: ComparedRun) -> dict[str, Any]:
    return {"name": side.name, **asdict(side.results.about), "parse_rate": side.results.parse_rate}


def answers_of(predictions: Sequence[Prediction]) -> Answers:
    """The predictions, which of them could be read (all, for a readout of logits), and what they are the share of."""
    parsed = torch.tensor([p.unparsed is None for p in predictions])
    labels = [p.labels for p in predictions]
    draws = None if None in labels else torch.tensor(labels, dtype=torch.float64)
    votes = vote_numbers([p.drawn_votes for p in predictions])
    return Answers(_tensor([p.predicted_dist for p in predictions]), parsed, draws, votes)


def _tensor(rows: Sequence[tuple[float, ...]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def difference_text(difference: Difference) -> str:
    """A difference with its sign and its interval, as tables have it."""
    if not math.isfinite(difference.value):
        return MISSING
    value = f"{difference.value:+.3f}"
    if difference.low is None or difference.high is None:
        return value
    return f"{value} ({difference.low:+.3f} to {difference.high:+.3f})"


def effect_text(difference: Difference) -> str:
    """The effect size of a difference as tables have it."""
    return MISSING if difference.effect is None else f"{difference.effect:+.2f}"


def p_text(p: float | None) -> str:
    """A p-value as tables have it; a small one is written as a bound."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def is_significant(p: float | None) -> bool:
    """Whether a p-value is below 1 minus the level of the intervals; False without one."""
    return p is not None and p < 1 - LEVEL


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
