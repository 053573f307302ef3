"""Whether two results may be paired item by item: the same items, judged by the same people, against one target."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lalm_ambig.core.categories import normal_form
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.notes import SAME_TARGET, is_drawn
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.stages import Past

SAME_ITEMS = (
    "Only results on the same items are paired: evaluate both on one corpus, split, seed, fold and limit."
)


@dataclass(frozen=True)
class ComparedRun:
    """One of two results that are compared: of a run, or of a family of seeds and folds."""

    name: str
    """In tables."""
    results: Results
    """Of the run, or of the first one of the family."""
    predictions: Sequence[Prediction]
    """Of the run, or of the first seed, all folds after each other."""
    others: tuple[Sequence[Prediction], ...] = ()
    """Predictions of the other seeds, in any order of items."""
    seeds: tuple[int, ...] = ()
    """The seeds, the first one first; empty for a run that is compared alone."""
    folds: tuple[int, ...] = ()
    """The folds that are pooled."""
    overlaps: tuple[Overlap, ...] = ()
    """What each run of the family was trained on of its items."""
    pasts: tuple[Past | None, ...] = ()
    """What each run of the family was trained on, by seed and fold."""
    left_out: tuple[int, ...] = ()
    """Seeds of the family that are not compared."""

    @property
    def by_seed(self) -> Sequence[Sequence[Prediction]]:
        """The predictions of each seed."""
        return self.predictions, *self.others

    @property
    def all_pasts(self) -> Sequence[Past | None]:
        """What each of its runs was trained on."""
        return self.pasts or [self.results.about.training]

    def of_seeds(self, seeds: Sequence[int]) -> "ComparedRun":
        """The same family with those of its seeds alone."""
        places = [self.seeds.index(seed) for seed in seeds]
        kept = [self.by_seed[place] for place in places]
        folds = len(self.pasts) // len(self.seeds)
        return replace(
            self,
            predictions=kept[0],
            others=tuple(kept[1:]),
            seeds=tuple(seeds),
            pasts=tuple(past for place in places for past in self.pasts[place * folds : (place + 1) * folds]),
            left_out=tuple(seed for seed in self.seeds if seed not in seeds),
        )


def check_pairable(first: ComparedRun, second: ComparedRun, *, where: str = "compare") -> None:
    """Refuse two runs or families that cannot be paired item by item.

    Args:
        first: A run or family.
        second: Another.
        where: Place for the error.

    Raises:
        InputError: They differ in corpus, split, classes, items, speakers, votes or targets. The message names the
            first difference.
    """
    try:
        _check_pairable(first, second)
    except _Unpaired as error:
        raise InputError(error.what, where=where, remedy=error.remedy) from error


class _Unpaired(Exception):
    """What stands between a pair of results, and the remedy."""

    def __init__(self, what: str, remedy: str = SAME_ITEMS) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def _check_pairable(first: ComparedRun, second: ComparedRun) -> None:
    ours, theirs = first.results, second.results
    for what, one, other in (
        ("corpus", ours.about.corpus, theirs.about.corpus),
        ("split", ours.about.split, theirs.about.split),
        ("classes", ", ".join(ours.categories), ", ".join(theirs.categories)),
    ):
        if normal_form(one) != normal_form(other):
            raise _Unpaired(f"{first.name!r} and {second.name!r} differ in {what}: {one} and {other}.")
    _check_items(first.name, first.predictions, second.name, second.predictions)
    for run in (first, second):
        for seed, predictions in zip(run.seeds[1:], run.others, strict=True):
            _check_items(first.name, first.predictions, f"seed {seed} of {run.name}", predictions)


def _check_items(
    name: str, ours: Sequence[Prediction], other_name: str, theirs: Sequence[Prediction]
) -> None:
    """Refuse predictions of other items, or of the same with other votes or targets."""
    ones, others = {p.id: p for p in ours}, {p.id: p for p in theirs}
    for of_run, its_items, other_items in ((name, ones, others), (other_name, others, ones)):
        if alone := [item for item in its_items if item not in other_items]:
            raise _Unpaired(
                f"{name!r} has {len(ones)} items and {other_name!r} {len(others)}; {len(alone)} are only in "
                f"{of_run!r}, the first of them {alone[0]}."
            )
    for item, prediction in ones.items():
        _check_item(prediction, others[item], (name, other_name))


def _check_item(one: Prediction, other: Prediction, names: tuple[str, str]) -> None:
    for what, ours, theirs in (("votes", one.votes, other.votes), ("speaker", one.speaker, other.speaker)):
        if ours != theirs:
            raise _Unpaired(
                f"{names[0]!r} and {names[1]!r} differ in {what} of item {one.id}: {ours} and {theirs}."
            )
    if max(abs(a - b) for a, b in zip(one.label_dist, other.label_dist, strict=True)) > 2 * SAME_TARGET:
        drawn = [name for name, p in zip(names, (one, other), strict=True) if is_drawn(p)]
        raise _Unpaired(
            f"item {one.id} is scored against different targets: that of {' and '.join(map(repr, drawn))} is a panel "
            "drawn at random and not the votes, as for panel and oracle.",
            "Such a row can stand in a table beside others, but cannot be paired with them; panel and oracle of "
            "one seed can be paired with each other.",
        )
