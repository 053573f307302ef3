"""A line of results: one row, or the folds of one configuration made one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import mean, stdev

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.bootstrap import Interval
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.recipe import METHODS


@dataclass(frozen=True)
class Line:
    """One row of results, or the folds of one configuration."""

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
        """Of the only row; of the first fold, where there are folds."""
        return self.first.results

    @property
    def is_leaky(self) -> bool:
        """Whether its items were trained on."""
        return self.first.is_leaky

    @property
    def marks(self) -> tuple[str, ...]:
        """What keeps it from being a test, or what is not known of that, each once."""
        found = (row.results.about.trained_items for row in self.rows)
        notes = (note for overlap in found if overlap is not None for note in overlap.notes)
        return tuple(dict.fromkeys(notes))

    @property
    def folds(self) -> tuple[int, ...]:
        """Which folds, in order; empty for a single split."""
        return tuple(row.fold for row in self.rows if row.fold is not None)

    @property
    def predictions(self) -> list[Prediction]:
        """All items, of every fold."""
        return [prediction for row in self.rows for prediction in row.predictions]

    def metric(self, name: str) -> tuple[Interval | None, float | None]:
        """Value with interval; for several folds their mean without one, and the standard deviation between folds."""
        found = [row.results.metrics.get(name) for row in self.rows]
        known = [interval for interval in found if interval is not None]
        if len(self.rows) == 1 or len(known) < len(self.rows):
            return (known[0] if len(self.rows) == 1 and known else None), None
        values = [interval.value for interval in known]
        return Interval(mean(values), None, None), stdev(values)

    @property
    def parse_rate(self) -> float | None:
        """Share of responses that could be read, over folds their mean; None where a readout cannot fail."""
        rates = [row.results.parse_rate for row in self.rows]
        known = [rate for rate in rates if rate is not None]
        return mean(known) if known and len(known) == len(rates) else None


def lines_of(rows: Sequence[ResultRow]) -> list[Line]:
    """One line a row, the folds of one configuration together: but for those on items that were trained on, which are
    never averaged. InputError where a fold of one is there twice."""
    families: dict[tuple[str, ...], list[ResultRow]] = defaultdict(list)
    for row in rows:
        alone = row.fold is None or row.is_leaky
        families[(row.label,) if alone else ("fold", row.family)].append(row)
    return [Line(_label(found), _by_fold(found)) for found in families.values()]


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
    """What the names of the folds share, else the method."""
    if len({row.label for row in rows}) == 1:
        return rows[0].label
    shared = _prefix([row.label for row in rows]).rstrip("_- ").removesuffix("fold").rstrip("_- ")
    return shared or METHODS[rows[0].method]


def _prefix(names: Sequence[str]) -> str:
    """The letters that all begin with."""
    return "".join(letters[0] for letters in takewhile(_equal, zip(*names, strict=False)))


def _equal(letters: tuple[str, ...]) -> bool:
    return len(set(letters)) == 1
