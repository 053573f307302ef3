"""Whether two results may be paired item by item: the same items, judged by the same people, against one target."""

from collections.abc import Sequence
from dataclasses import dataclass

from lalm_ambig.core.categories import normal_form
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.notes import SAME_TARGET, is_drawn
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results


@dataclass(frozen=True)
class ComparedRun:
    """One of two runs that are compared: its name in tables, and the content of its folder."""

    name: str
    results: Results
    predictions: Sequence[Prediction]


def check_pairable(first: ComparedRun, second: ComparedRun) -> None:
    """Refuse two runs that cannot be paired item by item.

    Raises:
        InputError: They differ in corpus, split, classes, items, speakers, votes or targets. The message names the
            first difference.
    """
    ours, theirs = first.results, second.results
    for what, one, other in (
        ("corpus", ours.about.corpus, theirs.about.corpus),
        ("split", ours.about.split, theirs.about.split),
        ("classes", ", ".join(ours.categories), ", ".join(theirs.categories)),
    ):
        if normal_form(one) != normal_form(other):
            raise _unpaired(f"{first.name!r} and {second.name!r} differ in {what}: {one} and {other}.")
    ones, others = ({p.id: p for p in run.predictions} for run in (first, second))
    for run, its_items, other_items in ((first, ones, others), (second, others, ones)):
        if alone := [item for item in its_items if item not in other_items]:
            raise _unpaired(
                f"{first.name!r} has {len(ones)} items and {second.name!r} {len(others)}; {len(alone)} are only in "
                f"{run.name!r}, the first of them {alone[0]}."
            )
    for item, prediction in ones.items():
        _check_item(prediction, others[item], (first.name, second.name))


def _check_item(one: Prediction, other: Prediction, names: tuple[str, str]) -> None:
    for what, ours, theirs in (("votes", one.votes, other.votes), ("speaker", one.speaker, other.speaker)):
        if ours != theirs:
            raise _unpaired(
                f"{names[0]!r} and {names[1]!r} differ in {what} of item {one.id}: {ours} and {theirs}."
            )
    if max(abs(a - b) for a, b in zip(one.label_dist, other.label_dist, strict=True)) > 2 * SAME_TARGET:
        drawn = [name for name, p in zip(names, (one, other), strict=True) if is_drawn(p)]
        raise InputError(
            f"item {one.id} is scored against different targets: that of {' and '.join(map(repr, drawn))} is a panel "
            "drawn at random and not the votes, as for panel and oracle.",
            where="compare",
            remedy="Such a row can stand in a table beside others, but cannot be paired with them; panel and oracle of "
            "one seed can be paired with each other.",
        )


def _unpaired(what: str) -> InputError:
    return InputError(
        what,
        where="compare",
        remedy="Only results on the same items are paired: evaluate both on one corpus, split, seed, fold and limit.",
    )
