"""Groups of items for figures, and the answers of a line by seed. The groups are those of the break-downs.

Seeds of one configuration answer the same items. They are no further items: each seed is scored on its own, values are
means over seeds, and an item counts once. Folds have different items, and are pooled.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, bhattacharyya, js_distance
from lalm_ambig.evaluation.breakdowns import ACTIVE_LABELS, ScoredItems
from lalm_ambig.evaluation.intervals import Interval, intervals
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import clusters_of, scored_items
from lalm_ambig.metrics.base import DistributionMetric, formulas
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.lines import Line

PER_ITEM: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"js_dist_bits": js_distance, "bc": bhattacharyya}
"""Metrics that have a value per item, as in the box plots of SHALA-LLM."""
MOST_LINES = 8
"""Lines per figure: the number of colours."""
POOLED = " Items of all folds are pooled, where tables have the mean over folds."
KindOf = Callable[[Float[Tensor, "item category"]], Int[Tensor, " item"]]
"""Votes → the index of each item's kind."""


@dataclass(frozen=True)
class SeedAnswers:
    """The answers of one seed in all its folds; of a baseline, its only answers."""

    ids: tuple[str, ...]
    scored: ScoredItems
    votes: Float[Tensor, "item category"]

    def where(self, mask: Bool[Tensor, " item"]) -> "SeedAnswers":
        """The items on which the mask is True."""
        ids = tuple(name for name, chosen in zip(self.ids, mask.tolist(), strict=True) if chosen)
        return SeedAnswers(ids, self.scored.where(mask), self.votes[mask])


@dataclass(frozen=True)
class LineAnswers:
    """The answers of a line, apart for each seed."""

    line: Line
    seeds: tuple[SeedAnswers, ...]
    """At least one. Seeds of the same items have them in the same order."""

    @property
    def items(self) -> int:
        """The number of different items."""
        return len({name for seed in self.seeds for name in seed.ids})

    def split(self, kind_of: KindOf, count: int) -> list["LineAnswers"]:
        """The items of each of `count` kinds."""
        found = [kind_of(seed.votes) for seed in self.seeds]
        return [
            replace(
                self,
                seeds=tuple(seed.where(kind == at) for seed, kind in zip(self.seeds, found, strict=True)),
            )
            for at in range(count)
        ]

    def per_item(self, metric: str) -> list[float]:
        """Compute a metric of `PER_ITEM` for each item, as a mean over seeds.

        A response that could not be read counts as uniform.
        """
        found: dict[str, list[float]] = defaultdict(list)
        for seed in self.seeds:
            values = PER_ITEM[metric](seed.scored.label_dist, seed.scored.predicted_dist).tolist()
            for name, value in zip(seed.ids, values, strict=True):
                found[name].append(value)
        return [fmean(values) for values in found.values()]

    def interval(self, name: str) -> Interval | None:
        """As `interval_of`, of the metric of that name."""
        (metric,) = (m for m in formulas(self.seeds[0].votes.shape[-1]) if m.name == name)
        return self.interval_of(metric)

    def interval_of(self, metric: DistributionMetric) -> Interval | None:
        """The mean over seeds of each seed's value, with an interval that allows for other seeds, as in tables.

        Returns:
            Without an interval where seeds have different items; None without items.
        """
        seeds = [seed for seed in self.seeds if seed.ids]
        if not seeds:
            return None
        if len({seed.ids for seed in seeds}) > 1:
            values = [_intervals(metric, [seed]).value for seed in seeds]
            return Interval(fmean(values), None, None)
        return _intervals(metric, seeds)


def _intervals(metric: DistributionMetric, seeds: Sequence[SeedAnswers]) -> Interval:
    first = seeds[0].scored
    answers = [seed.scored.answers for seed in seeds]
    found = intervals([metric], first.label_dist, predicted_dist=answers, clusters=first.clusters)
    return found[metric.name]


def line_answers(line: Line) -> LineAnswers:
    """Return the answers of a line, ready for metrics: by seed, with the folds of a seed pooled."""
    by_seed: dict[int | None, list[Prediction]] = defaultdict(list)
    for row in line.rows:
        by_seed[row.seed] += row.predictions
    place = {p.id: at for at, p in enumerate(next(iter(by_seed.values())))}
    ordered = (sorted(rows, key=lambda p: place.get(p.id, len(place))) for rows in by_seed.values())
    return LineAnswers(line, tuple(_seed_answers(rows, line) for rows in ordered))


def _seed_answers(rows: Sequence[Prediction], line: Line) -> SeedAnswers:
    about = line.results.about
    votes = torch.tensor([p.votes for p in rows], dtype=torch.float64)
    found = scored_items(rows, about, clusters_of(rows, about.corpus))
    return SeedAnswers(tuple(p.id for p in rows), found, votes)


def shown_lines(group: Group) -> Sequence[Line]:
    """Return the first eight policies of a corpus, or its first eight baselines if it has no policy."""
    policies = [line for line in group.lines if line.results.about.readout != "none"]
    return (policies or group.lines)[:MOST_LINES]


def not_shown(group: Group) -> str:
    """Return a sentence that names the lines for which there is no colour; empty without any."""
    policies = [line for line in group.lines if line.results.about.readout != "none"]
    left = [line.label for line in (policies or group.lines)[MOST_LINES:]]
    return f" Not shown, for want of colours: {', '.join(left)}." if left else ""


def span(numbers: Iterable[int]) -> str:
    """Return a number, or the least and the largest of several: `150`, `75–150`."""
    low, *rest = sorted(set(numbers))
    return f"{low}–{rest[-1]}" if rest else f"{low}"


def counted(found: Sequence[LineAnswers]) -> str:
    """Return the end of a title: the number of different items, and of seeds where a line has several."""
    numbers = [len(answers.seeds) for answers in found if answers.line.seeds]
    seeds = f", {span(numbers)} seeds" if any(number > 1 for number in numbers) else ""
    return f"{span(answers.items for answers in found)} items{seeds}"


def titled(answers: LineAnswers, among: Sequence[LineAnswers]) -> str:
    """Return the label of a line, with its number of items where other lines of the figure have another."""
    differ = len({other.items for other in among}) > 1
    return f"{answers.line.label}, {answers.items} items" if differ else answers.line.label


def over_seeds(answers: LineAnswers) -> str:
    """Return `mean of 3 seeds`; empty for one seed."""
    return f"mean of {len(answers.seeds)} seeds" if len(answers.seeds) > 1 else ""


def seeds_note(found: Sequence[LineAnswers], how: str) -> str:
    """Return a sentence that says which lines have several seeds and how these are shown, and one on folds, if any."""
    several = [f"{a.line.label}: {', '.join(map(str, a.line.seeds))}" for a in found if len(a.seeds) > 1]
    note = f" With several seeds ({'; '.join(several)}), {how}." if several else ""
    if ragged := [a.line.label for a in found if len({seed.ids for seed in a.seeds}) > 1]:
        note += f" No intervals of {', '.join(ragged)}: its seeds have different items."
    return note + (POOLED if any(len(answers.line.folds) > 1 for answers in found) else "")


def by_entropy(votes: Float[Tensor, "item category"]) -> tuple[Int[Tensor, " item"], tuple[str, ...]]:
    """Return the ambiguity level of each item (SHALA-LLM, Table 8), and the names of the levels."""
    return ambiguity_level(votes / votes.sum(-1, keepdim=True)), AMBIGUITY_LEVELS


def by_active_labels(votes: Float[Tensor, "item category"]) -> tuple[Int[Tensor, " item"], tuple[str, ...]]:
    """Return each item's level by its number of classes with a vote (SHALA-LLM, Tables 9 and 10), and the names."""
    names = ACTIVE_LABELS[: votes.shape[-1]]
    return (votes > 0).sum(-1).clamp(max=len(names)) - 1, names
