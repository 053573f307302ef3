"""Lines of results: one row, or the mean over the folds and seeds of one configuration."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from statistics import mean, stdev

import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.about import SAMPLED
from lalm_ambig.evaluation.comparison import answers_of
from lalm_ambig.evaluation.intervals import Interval, can_mark, spreads
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.responses import ResponseValues, response_values
from lalm_ambig.evaluation.results import Results, clusters_of
from lalm_ambig.evaluation.spread import Spread
from lalm_ambig.metrics.base import formulas
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.recipe import METHODS

ENDING = re.compile(r"[-_ (]*(?:fold|[-_ (](?:s|seed))?[-_ ]*$")
"""What is left of `-s0`, `_seed1` or `-fold2` at the end of what the names of several runs share."""


@dataclass(frozen=True)
class Line:
    """One row, or the folds and seeds of one configuration."""

    label: str
    rows: Sequence[ResultRow]

    @property
    def first(self) -> ResultRow:
        return self.rows[0]

    @property
    def method(self) -> str:
        return self.first.method

    @property
    def results(self) -> Results:
        """The results of the only row, or of the first one."""
        return self.first.results

    @property
    def shown(self) -> Results:
        """The results of the first row with the notes of all; those of several seeds have intervals made here."""
        results = replace(self.results, notes=self._notes())
        return replace(results, intervals="jackknife") if self.spreads else results

    def _notes(self) -> tuple[str, ...]:
        """The notes of every row, with the seeds that a note is about where others lack it."""
        seeds: dict[str, list[int | None]] = {}
        for row in self.rows:
            for note in row.results.notes:
                seeds.setdefault(note, []).append(row.seed)
        return tuple(
            note if len(of) == len(self.rows) or None in of else f"seed {', '.join(map(str, of))}: {note}"
            for note, of in seeds.items()
        )

    @property
    def is_leaky(self) -> bool:
        """Whether the policy was trained on its items."""
        return self.first.is_leaky

    @property
    def can_be_best(self) -> bool:
        """Whether a table may mark it: a whole test, on more than two speakers or in several folds."""
        enough = len(self.folds) > 1 or can_mark(self.results.clusters, self.results.n_clusters)
        return enough and not self.is_leaky and not self.missing

    @property
    def marks(self) -> tuple[str, ...]:
        """Notes that it is no test, or that this cannot be checked, each once."""
        overlaps = (row.results.about.trained_items for row in self.rows)
        notes = (note for overlap in overlaps if overlap is not None for note in overlap.notes)
        return tuple(dict.fromkeys(notes))

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds, in order; empty for a single split."""
        return tuple(sorted({row.fold for row in self.rows if row.fold is not None}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its runs, in order; empty for a baseline, and where they are not known."""
        return tuple(sorted({row.seed for row in self.rows if row.seed is not None}))

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """Seed and fold that are not there, though another of its seeds has the fold."""
        have = {(row.seed, row.fold) for row in self.rows}
        return tuple((seed, fold) for seed in self.seeds for fold in self.folds if (seed, fold) not in have)

    @property
    def predictions(self) -> list[Prediction]:
        """The predictions of all folds and seeds."""
        return [prediction for row in self.rows for prediction in row.predictions]

    @cached_property
    def spreads(self) -> Mapping[str, Spread]:
        """How each metric varies between speakers and seeds, with the folds of a seed pooled.

        Empty for one seed, where the predictions are not kept, and where seeds are not on the same items.
        """
        if len(self.seeds) < 2 or any(not (row.folder / "predictions.jsonl").is_file() for row in self.rows):
            return {}
        by_seed: dict[int | None, dict[str, Prediction]] = defaultdict(dict)
        for row in self.rows:
            by_seed[row.seed].update((p.id, p) for p in row.predictions)
        first, *others = by_seed.values()
        if any(other.keys() != first.keys() for other in others):
            return {}
        metrics = formulas(len(self.results.categories), ordered=self.results.ordered)
        target = torch.tensor([p.label_dist for p in first.values()], dtype=torch.float64)
        answers = [answers_of([of_seed[name] for name in first]) for of_seed in by_seed.values()]
        clusters = clusters_of(list(first.values()), self.results.about.corpus)
        return spreads(metrics, target, predicted_dist=answers, clusters=clusters)

    def metric(self, name: str) -> tuple[Interval | None, float | None]:
        """A metric's value and its spread.

        Returns:
            For one row, the value with its interval, and None. For several, their mean and the standard deviation
            between seeds (of means over folds), or with one seed between folds. The mean over seeds has an interval on
            a single split; a mean over folds has none. None twice where a row lacks the metric.
        """
        if len(self.rows) == 1:
            return self.results.metrics.get(name), None
        by_seed: dict[int | None, list[float]] = defaultdict(list)
        for row in self.rows:
            if (interval := row.results.metrics.get(name)) is None:
                return None, None
            by_seed[row.seed].append(interval.value)
        values = [mean(of_seed) for of_seed in by_seed.values()]
        values = values if len(values) > 1 else next(iter(by_seed.values()))
        low, high = (None, None) if self.folds or name not in self.spreads else self.spreads[name].ends()
        return Interval(mean(values), low, high), stdev(values)

    @property
    def parse_rate(self) -> float | None:
        """Share of responses that could be read, as a mean over folds; None where a readout cannot fail.

        Of sampled labels it is among the `responses`.
        """
        if self.results.about.readout == SAMPLED:
            return None
        return _mean([row.results.parse_rate for row in self.rows])

    @property
    def responses(self) -> ResponseValues:
        """Class mass, form and length of the responses, and how many name a class, as means over folds."""
        folds = [response_values(row.results) for row in self.rows]
        return {key: _mean([values[key] for values in folds]) for key in folds[0]}


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None where a value is missing."""
    numbers = [value for value in values if value is not None]
    return mean(numbers) if len(numbers) == len(values) else None


def lines_of(rows: Sequence[ResultRow]) -> list[Line]:
    """One line per row, with the folds and seeds of one configuration in one line.

    Rows on items that were trained on are never averaged, nor are several runs of one configuration with the same seed
    on a single split.

    Raises:
        InputError: A configuration has two rows for one fold and seed.
    """
    families: dict[tuple[str, ...], list[ResultRow]] = defaultdict(list)
    members = Counter((row.family, row.fold, row.seed) for row in rows)
    for row in rows:
        repeated = row.fold is None and (row.seed is None or members[row.family, None, row.seed] > 1)
        families[(row.label,) if repeated or row.is_leaky else ("family", row.family)].append(row)
    return [Line(_label(family), _in_order(family)) for family in families.values()]


def _in_order(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows of a family by seed and fold."""
    found: dict[tuple[int, int], ResultRow] = {}
    for row in rows:
        place = tuple(-1 if number is None else number for number in (row.seed, row.fold))
        if (other := found.get((place[0], place[1]))) is not None:
            raise InputError(
                f"{other.label!r} and {row.label!r} are one configuration in the same fold {row.fold}.",
                where="report",
                remedy="Give only one of them.",
            )
        found[place[0], place[1]] = row
    return [found[place] for place in sorted(found)]


def _label(rows: Sequence[ResultRow]) -> str:
    """The beginning that the names of the folds and seeds share, else the method."""
    if len({row.label for row in rows}) == 1:
        return rows[0].label
    shared = ENDING.sub("", _prefix([row.label for row in rows]))
    shared += ")" if shared.count("(") > shared.count(")") else ""
    return shared or METHODS[rows[0].method]


def _prefix(names: Sequence[str]) -> str:
    """The longest beginning that all have."""
    return "".join(letters[0] for letters in takewhile(_equal, zip(*names, strict=False)))


def _equal(letters: tuple[str, ...]) -> bool:
    return len(set(letters)) == 1
