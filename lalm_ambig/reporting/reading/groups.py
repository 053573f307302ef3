"""Groups of a report: the lines of one corpus, on the same items."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.notes import ONE_SEED
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.table import caption, check_comparable, metric_columns
from lalm_ambig.reporting.reading.inputs import ResultRow
from lalm_ambig.reporting.reading.lines import Line, lines_of
from lalm_ambig.reporting.reading.training import data_notes_of

Dataset = tuple[str, str | None]
TITLES: dict[Dataset, str] = {
    ("iemocap", None): "IEMOCAP",
    ("crema_d", None): "CREMA-D",
    ("chaosnli", None): "ChaosNLI",
    ("chaosnli", "mnli"): "ChaosNLI-M",
    ("chaosnli", "snli"): "ChaosNLI-S",
    ("msp_podcast", None): "MSP-Podcast",
    ("goemotions", None): "GoEmotions",
}


def title_of(dataset: Dataset) -> str:
    """The name of a corpus, or of a part of it, in tables."""
    corpus, part = dataset
    return TITLES.get(dataset, corpus if part is None else f"{corpus}, {part}")


@dataclass(frozen=True)
class Group:
    """The lines of one corpus or part, on the same items."""

    dataset: Dataset
    lines: Sequence[Line]

    @property
    def title(self) -> str:
        return title_of(self.dataset)

    @property
    def results(self) -> Results:
        return self.lines[0].results

    @property
    def folds(self) -> tuple[int, ...]:
        """Every fold that any line has."""
        return tuple(sorted({fold for line in self.lines for fold in line.folds}))

    def caption(self) -> list[str]:
        """Items, split, readout, intervals, other training items, and every note with the lines that it is about."""
        if not self.folds:
            first, *lines = caption({line.label: line.shown for line in self.lines}).splitlines()
            return [first, *data_notes_of(self.lines), *lines, *self._seeds()]
        return self._of_folds()

    def _seeds(self) -> list[str]:
        """Which lines are means over seeds, and which have one seed only."""
        several: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for line in self.lines:
            several[line.seeds].append(line.label)
        lines = [
            f"{', '.join(labels)}: mean ± standard deviation over {len(seeds)} seeds ({', '.join(map(str, seeds))})."
            for seeds, labels in several.items()
            if len(seeds) > 1
        ]
        lines += self._from_seeds()
        if one := [label for seeds, labels in several.items() if len(seeds) == 1 for label in labels]:
            said = ONE_SEED.format(names=", ".join(one))
            lines.append(said.replace(" by more than its interval", "") if self.folds else said)
        if bare := [
            line.label for line in self.lines if not line.folds and len(line.seeds) > 1 and not line.spreads
        ]:
            lines.append(
                f"{', '.join(bare)}: no interval, since a run's predictions are missing, or seeds have other items."
            )
        return lines

    def _from_seeds(self) -> list[str]:
        """What of the variance of the first metric of the tables is from seeds, for each line that has several."""
        name = self.results.about.table_metrics[0]
        shares = [
            f"{share:.0%} ({line.label})"
            for line in self.lines
            if name in line.spreads and (share := line.spreads[name].share_of_seeds) is not None
        ]
        if not shares:
            return []
        label = metric_columns([name])[0].label.rstrip(" ↑↓")
        rest = f"the rest is between {self.results.clusters}"
        rest += ", with all folds pooled" if self.folds else "; intervals allow for both"
        return [f"Of the variance of {label}, seeds make {', '.join(shares)}; {rest}."]

    @property
    def marks(self) -> list[str]:
        """Sentences that say which lines are no tests."""
        return [f"{line.label}: {note}." for line in self.lines for note in line.marks]

    def _of_folds(self) -> list[str]:
        about = self.results.about
        readouts = {
            f"{line.results.about.readout} readout, {line.results.about.reasoning} reasoning"
            for line in self.lines
            if line.results.about.readout != "none"
        }
        counts = {row.fold: row.results.items for line in self.lines for row in line.rows}
        listed = ", ".join(f"{fold} ({counts[fold]})" for fold in self.folds)
        seeds = ", of several seeds between seeds" if any(len(line.seeds) > 1 for line in self.lines) else ""
        first = (
            f"{self.title}, {about.part_of_corpus} of folds (items) {listed}; "
            f"{'; '.join(sorted(readouts)) or 'no readout'}; mean ± standard deviation between folds"
            f"{seeds}, no interval."
        )
        return [
            first,
            *data_notes_of(self.lines),
            *self.marks,
            *self._seeds(),
            *(
                f"{line.label}: only fold {', '.join(map(str, line.folds))}, so it is not ranked."
                for line in self.lines
                if line.folds != self.folds
            ),
            *(
                f"{line.label}: UNFINISHED, {_lacking(line)}: its mean is of other items than a whole family's and its "
                "± is between folds too, so it is not ranked; finish it."
                for line in self.lines
                if line.missing
            ),
        ]


def _lacking(line: Line) -> str:
    """Which folds of which seeds are missing."""
    return ", ".join(f"seed {seed} has no fold {fold}" for seed, fold in line.missing)


def group_rows(rows: Sequence[ResultRow]) -> list[Group]:
    """The rows by corpus and part, in the order of their first rows.

    Raises:
        InputError: Rows of one corpus are on different splits, readouts or items. The message names the first
            difference.
    """
    by_dataset: dict[Dataset, list[ResultRow]] = defaultdict(list)
    for row in rows:
        by_dataset[row.dataset].append(row)
    return [_group(dataset, members) for dataset, members in by_dataset.items()]


def _group(dataset: Dataset, rows: Sequence[ResultRow]) -> Group:
    by_fold: dict[int | None, dict[str, Results]] = defaultdict(dict)
    for row in rows:
        by_fold[row.fold][row.label] = row.results
    if None in by_fold and len(by_fold) > 1:
        one, other = (next(r.label for r in rows if (r.fold is None) is single) for single in (True, False))
        raise InputError(
            f"{one!r} and {other!r} differ in fold: {title_of(dataset)} in a single split, and in folds.",
            where="report",
            remedy="Give runs of one way to split.",
        )
    for results in by_fold.values():
        check_comparable(results)
    return Group(dataset, lines_of(rows))


def find_group(groups: Sequence[Group], dataset: Dataset) -> Group | None:
    """The group of a corpus or part; None without one."""
    return next((group for group in groups if group.dataset == dataset), None)


def lines_by_method(group: Group | None, *, trained_on: str | None = None) -> Mapping[str, Sequence[Line]]:
    """Method → its lines that were trained on another corpus; None takes those that were not."""
    by_method: dict[str, list[Line]] = defaultdict(list)
    for line in group.lines if group is not None else ():
        if line.first.trained_on == trained_on:
            by_method[line.method].append(line)
    return by_method
