"""A submission to the perspectivist task of LeWiDi 2025: the label of each annotator, and the organisers' score of it.

The zip has a table per set: `mp_test_pe.tsv`, `csc_test_pe.tsv`, `par_test_pe.tsv` and `ven_test_pe.tsv`. A line is an
item's key, a tab, and a JSON list with a label per annotator, in the order in which the entry names them:

- MP: 0 or 1; CSC: 1 to 6; Par: −5 to 5;
- VariErrNLI: for contradiction, entailment and neutral a list each, of 0 or 1 per annotator.

A label is the one with the least expected error (`metrics.annotators`). The form is that of two teams' public code,
`tomasruizt/lewidi2025` and `cs-nlp-uu/LeWiDi_ICL`: the organisers' readme has no example of it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import pair_id
from lalm_ambig.corpora.lewidi.corpus import Lewidi
from lalm_ambig.corpora.lewidi.entries import Entry
from lalm_ambig.corpora.lewidi.parts import LABEL_SETS
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics import shared_task
from lalm_ambig.metrics.annotators import chosen_labels, median_steps

Labels = list[Any]
"""The labels of an item's annotators; of VariErrNLI a list of them per label."""
ERRORS: Mapping[str, tuple[str, Callable[[Any, Any], float]]] = {
    "csc": ("normalised absolute distance", partial(shared_task.normalised_distance, steps=6)),
    "par": ("normalised absolute distance", partial(shared_task.normalised_distance, steps=11)),
    "varierr_nli": ("multilabel error rate", shared_task.multilabel_error_rate),
}
"""Part → name of its perspectivist score, and the score. The others have the error rate."""


def annotator_rows(
    predictions: Sequence[Prediction], corpus: Lewidi, entries: Sequence[Entry], *, folder: Path
) -> tuple[tuple[tuple[str, Labels], ...], tuple[str, float]]:
    """Key and labels of each test item, and the name and value of their score.

    Args:
        predictions: Of single annotators.
        corpus: The set.
        entries: Those of its test file.
        folder: The folder of the predictions, for errors.

    Raises:
        InputError: A rating has no prediction over the set's classes, or a prediction is of no test rating.
    """
    by_id = {prediction.id: prediction.predicted_dist for prediction in predictions}
    rows = []
    for entry in entries:
        ids = [pair_id(corpus.item_id("test", entry), name) for name in entry.annotators]
        for pair, name in zip(ids, entry.annotators, strict=True):
            if len(by_id.get(pair, ())) != len(corpus.categories):
                raise InputError(
                    f"annotator {name} of test item {entry.key} of {corpus.part} has no prediction over its "
                    f"{len(corpus.categories)} classes.",
                    where=str(folder),
                    remedy="Evaluate the whole test split, without --limit.",
                )
        dists = torch.tensor([by_id[pair] for pair in ids], dtype=torch.float64)
        rows.append((entry.key, _labels(dists, corpus)))
        for pair in set(ids):
            del by_id[pair]
    if by_id:
        raise InputError(
            f"{next(iter(by_id))} is no rating of the test items of {corpus.part}.", where=str(folder)
        )
    name, score = ERRORS.get(corpus.part or "", ("error rate", shared_task.error_rate))
    targets, answers = [_official(entry, corpus) for entry in entries], [labels for _, labels in rows]
    return tuple(rows), (name, score(_floats(targets), _floats(answers)))


def _floats(labels: Labels) -> Labels:
    """The same labels as floats, however deep they are."""
    return [_floats(one) if isinstance(one, list) else float(one) for one in labels]


def _labels(dists: Float[Tensor, "annotator category"], corpus: Lewidi) -> Labels:
    """Distributions of an item's annotators as labels in the form of the task."""
    if corpus.set.is_multilabel:
        return _by_label(chosen_labels(dists, [_numbers(labels, corpus) for labels in LABEL_SETS]))
    places = median_steps(dists) if corpus.categories.ordered else dists.argmax(-1)
    return [_number(corpus.categories, int(place)) for place in places]


def _official(entry: Entry, corpus: Lewidi) -> Labels:
    """The annotations of an entry in the same form."""
    if corpus.set.is_multilabel:
        chosen = [LABEL_SETS[place] for place in entry.classes]
        return [[int(label in labels) for labels in chosen] for label in corpus.set.soft_keys]
    return [_number(corpus.categories, place) for place in entry.classes]


def _number(categories: CategorySet, place: int) -> int:
    """A class as a number: the step of a scale, or 0 and 1 for no and yes."""
    return int(categories.names[place]) if categories.ordered else place


def _numbers(labels: Sequence[str], corpus: Lewidi) -> list[int]:
    return [corpus.set.soft_keys.index(label) for label in labels]


def _by_label(chosen: Float[Tensor, "annotator label"]) -> Labels:
    return [[int(value) for value in column] for column in chosen.T.tolist()]
