"""All items of a corpus as a test (`evaluate --split all`): what has to be learnt there is learnt fold by fold.

The prior and the temperature need items whose votes may be seen. Each of the corpus's five folds gives these for its
own test: nothing that an item is scored with has seen that item, its speaker, or whatever else the folds keep apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lalm_ambig.baselines.prior import prior
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import FOLDS, Split
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.temperature import apply_temperature, fit_temperature

OPTION = "--temperature-scaling"
SCALED = "temperature"
"""Folder of the scaled answers, in that of the others."""


@dataclass(frozen=True)
class Folds:
    """How the five folds of a corpus split its items; each item is in the test of one."""

    splits: Sequence[Mapping[str, Split]]
    """Per fold: item → split."""

    def ids(self, fold: int, split: Split) -> frozenset[str]:
        """The items of a split of a fold."""
        return frozenset(item for item, its_split in self.splits[fold].items() if its_split == split)

    def prior(self, items: Sequence[Item], every: Sequence[Item]) -> list[Prediction]:
        """Predict for each item the mean distribution of its fold's training split.

        Args:
            items: The items to answer.
            every: All items of the corpus, of which the training splits are taken.

        Raises:
            InputError: A fold has no training item.
        """
        answers: dict[str, Prediction] = {}
        for splits in self.splits:
            train = [replace(item, split="train") for item in every if splits.get(item.id) == "train"]
            tested = [item for item in items if splits.get(item.id) == "test"]
            answers |= {one.id: one for one in (prior(tested, train=train) if tested else [])}
        return [answers[item.id] for item in items]

    def check_validation(self, ids: Sequence[str]) -> None:
        """Refuse items among which a fold that is tested has none to fit its temperature on.

        Args:
            ids: The items that will be answered.

        Raises:
            InputError: A fold has no validation item among them.
        """
        answered = set(ids)
        for fold in range(len(self.splits)):
            if self.ids(fold, "test") & answered and not self.ids(fold, "validation") & answered:
                raise InputError(
                    f"none of the {len(answered)} items is in the validation split of fold {fold}, on which the "
                    "temperature for its test is fitted.",
                    where=OPTION,
                    remedy="Raise --limit, or leave one of the two out.",
                )

    def scaled(self, predictions: Sequence[Prediction]) -> tuple[list[Prediction], tuple[float, ...]]:
        """The predictions of all items, each at the temperature that fits its fold's validation split best.

        Returns:
            The predictions in the same order, and the temperature of each fold that has a test item among them.

        Raises:
            InputError: As for `fit_temperature`.
        """
        answers: dict[str, Prediction] = {}
        temperatures: list[float] = []
        for fold in range(len(self.splits)):
            test, validation = self.ids(fold, "test"), self.ids(fold, "validation")
            if not (tested := [one for one in predictions if one.id in test]):
                continue
            temperatures.append(fit_temperature([one for one in predictions if one.id in validation]))
            answers |= {one.id: one for one in apply_temperature(tested, temperatures[-1])}
        return [answers[one.id] for one in predictions], tuple(temperatures)


def folds_of(corpus: Corpus, ids: Sequence[str], *, judged: Sequence[str] | None = None) -> Folds:
    """Split the items of a corpus into its five folds.

    Args:
        corpus: The corpus. Its labels are read once per fold; no sound is.
        ids: Its items, without those that a check has left out; or pairs of item and annotator.
        judged: The item of each of `ids`, which is in the same split; by default these are items.

    Raises:
        InputError: The corpus or its file gives the split itself, a fold cannot be read, or an item is not in the test
            of exactly one fold.
    """
    where = f"corpus {corpus.name}"
    if not corpus.draws_splits:
        raise InputError("it says itself which item is in which split, and so has no folds", where=where)
    of_item: dict[str, list[str]] = {}
    for own, item in zip(ids, ids if judged is None else judged, strict=True):
        of_item.setdefault(item, []).append(own)
    splits = [
        {
            own: item.split
            for item in corpus.redrawn(seed=corpus.seed, fold=fold).read()
            for own in of_item.get(item.id, ())
        }
        for fold in range(FOLDS)
    ]
    for item in ids:
        if (count := sum(fold.get(item) == "test" for fold in splits)) != 1:
            raise InputError(f"item {item} is in the test of {count} folds, not of one", where=where)
    return Folds(splits)
