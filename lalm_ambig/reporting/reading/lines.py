"""Lines of results: one row, or the mean of the folds of one configuration."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import mean, stdev

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.about import SAMPLED
from lalm_ambig.evaluation.bootstrap import Interval
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.responses import ResponseValues, response_values
from lalm_ambig.evaluation.results import Results
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.recipe import METHODS


@dataclass(frozen=True)
class Line:
    """One row, or the folds of one configuration."""

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
        """The results of the only row, or of the first fold."""
        return self.first.results

    @property
    def is_leaky(self) -> bool:
        """Whether the policy was trained on its items."""
        return self.first.is_leaky

    @property
    def marks(self) -> tuple[str, ...]:
        """Notes that it is no test, or that this cannot be checked, each once."""
        overlaps = (row.results.about.trained_items for row in self.rows)
        notes = (note for overlap in overlaps if overlap is not None for note in overlap.notes)
        return tuple(dict.fromkeys(notes))

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds, in order; empty for a single split."""
        return tuple(row.fold for row in self.rows if row.fold is not None)

    @property
    def predictions(self) -> list[Prediction]:
        """The predictions of all folds."""
        return [prediction for row in self.rows for prediction in row.predictions]

    def metric(self, name: str) -> tuple[Interval | None, float | None]:
        """A metric's value and its spread.

        Returns:
            For one row, the value with its interval, and None. For several folds, their mean without an interval, and
            the standard deviation between folds. None twice where a row lacks the metric.
        """
        if len(self.rows) == 1:
            return self.results.metrics.get(name), None
        intervals = [row.results.metrics.get(name) for row in self.rows]
        values = [interval.value for interval in intervals if interval is not None]
        if len(values) < len(self.rows):
            return None, None
        return Interval(mean(values), None, None), stdev(values)

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
    """One line per row, with the folds of one configuration in one line.

    Rows on items that were trained on are never averaged.

    Raises:
        InputError: A configuration has two rows for one fold.
    """
    families: dict[tuple[str, ...], list[ResultRow]] = defaultdict(list)
    for row in rows:
        alone = row.fold is None or row.is_leaky
        families[(row.label,) if alone else ("fold", row.family)].append(row)
    return [Line(_label(family), _by_fold(family)) for family in families.values()]


def _by_fold(rows: Sequence[ResultRow]) -> list[ResultRow]:
    by_fold: dict[int | None, ResultRow] = {}
    for row in rows:
        if row.fold in by_fold:
            raise InputError(
                f"{by_fold[row.fold].label!r} and {row.label!r} are one configuration in the same fold {row.fold}.",
                where="report",
                remedy="Give only one of them.",
            )
        by_fold[row.fold] = row
    return [by_fold[fold] for fold in sorted(by_fold, key=lambda fold: -1 if fold is None else fold)]


def _label(rows: Sequence[ResultRow]) -> str:
    """The beginning that the names of the folds share, else the method."""
    if len({row.label for row in rows}) == 1:
        return rows[0].label
    shared = _prefix([row.label for row in rows]).rstrip("_- ").removesuffix("fold").rstrip("_- ")
    return shared or METHODS[rows[0].method]


def _prefix(names: Sequence[str]) -> str:
    """The longest beginning that all have."""
    return "".join(letters[0] for letters in takewhile(_equal, zip(*names, strict=False)))


def _equal(letters: tuple[str, ...]) -> bool:
    return len(set(letters)) == 1
