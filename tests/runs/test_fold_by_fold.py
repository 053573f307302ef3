"""All items as a test: the prior and the temperature of an item are learnt without its own fold."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from layouts.iemocap import write

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.iemocap.corpus import Iemocap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.temperature import apply_temperature, fit_temperature
from lalm_ambig.runs.fold_by_fold import Folds, folds_of


@pytest.fixture
def corpus(tmp_path: Path) -> Iemocap:
    return Iemocap(write(tmp_path / "iemocap"), seed=3)


def told(corpus: Iemocap) -> list[Item]:
    """The items, each with votes of its own, so that no two averages are alike."""
    draw = torch.Generator().manual_seed(0)
    items = list(corpus.read())
    votes = torch.randint(1, 9, (len(items), 4), generator=draw).tolist()
    return [replace(item, votes=tuple(map(float, row))) for item, row in zip(items, votes, strict=True)]


def ids(items: Sequence[Item]) -> list[str]:
    return [item.id for item in items]


def session(name: str) -> int:
    return int(name[4])


def answers(items: Sequence[Item]) -> list[Prediction]:
    """Answers of a policy that is too sure of itself, more so the later the session."""
    rows = []
    for n, item in enumerate(items):
        noise = torch.randn(4, generator=torch.Generator().manual_seed(n)) * 0.3
        logits = torch.tensor(item.label_dist).log() + noise
        dist = (logits * (1 + session(item.id))).double().softmax(-1)
        speaker, predicted = item.speaker, tuple(dist.tolist())
        rows.append(Prediction(item.id, item.split, speaker, item.votes, item.label_dist, predicted))
    return rows


def test_each_session_is_the_test_of_its_fold_and_of_no_other(corpus: Iemocap) -> None:
    items = ids(list(corpus.read()))
    folds = folds_of(corpus, items)
    for fold in range(5):
        assert folds.ids(fold, "test") == {name for name in items if session(name) == fold + 1}
        expected = {item.id: item.split for item in Iemocap(corpus.root, seed=3, fold=fold).read()}
        assert folds.splits[fold] == expected
    left_out = folds_of(corpus, items[1:])
    assert not any(items[0] in fold for fold in left_out.splits), "what the check has left out is in no split"


def test_pairs_of_item_and_annotator_are_in_the_split_of_their_item(corpus: Iemocap) -> None:
    items = ids(list(corpus.read()))
    pairs = [f"{name}@{who}" for name in items for who in ("ann", "bob")]
    judged = [name for name in items for _ in range(2)]
    folds, of_pairs = folds_of(corpus, items), folds_of(corpus, pairs, judged=judged)
    for fold in range(5):
        own = dict(zip(pairs, judged, strict=True))
        assert of_pairs.splits[fold] == {pair: folds.splits[fold][own[pair]] for pair in pairs}


def test_the_prior_of_an_item_is_the_mean_of_its_folds_training_split(corpus: Iemocap) -> None:
    every = told(corpus)
    folds = folds_of(corpus, ids(every))
    some = every[::-2]
    rows = folds.prior(some, every)
    assert [row.id for row in rows] == ids(some), "in the order that was asked for"
    for row in rows:
        trained = folds.ids(session(row.id) - 1, "train")
        assert all(session(name) != session(row.id) for name in trained)
        mean = torch.tensor([item.label_dist for item in every if item.id in trained]).double().mean(0)
        assert row.predicted_dist == pytest.approx(mean.tolist(), abs=1e-6)
    assert len({row.predicted_dist for row in rows}) == 5


def test_no_vote_of_a_session_moves_its_own_prior_or_temperature(corpus: Iemocap) -> None:
    every = told(corpus)
    folds = folds_of(corpus, ids(every))
    changed = [replace(i, votes=(0.0, 0.0, 0.0, 9.0)) if session(i.id) == 2 else i for i in every]
    before, after = folds.prior(every, every), folds.prior(changed, changed)
    moved = {
        session(a.id) for a, b in zip(before, after, strict=True) if a.predicted_dist != b.predicted_dist
    }
    assert moved == {1, 3, 4, 5}
    rows = answers(every)
    other = [replace(r, label_dist=(0.1, 0.1, 0.1, 0.7)) if session(r.id) == 2 else r for r in rows]
    assert folds.scaled(rows)[1][1] == folds.scaled(other)[1][1]
    assert folds.scaled(rows)[1] != folds.scaled(other)[1]


def test_each_fold_has_the_temperature_of_its_own_validation_split(corpus: Iemocap) -> None:
    rows = answers(told(corpus))
    folds = folds_of(corpus, [row.id for row in rows])
    scaled, temperatures = folds.scaled(rows)
    assert [row.id for row in scaled] == [row.id for row in rows]
    assert len(set(temperatures)) > 1
    for fold, temperature in enumerate(temperatures):
        validation = folds.ids(fold, "validation")
        assert temperature == fit_temperature([row for row in rows if row.id in validation])
        tested = [n for n, row in enumerate(rows) if session(row.id) == fold + 1]
        expected = apply_temperature([rows[n] for n in tested], temperature)
        assert [scaled[n] for n in tested] == expected


def test_a_fold_that_is_not_tested_needs_no_temperature(corpus: Iemocap) -> None:
    one, other, *_ = answers(told(corpus))
    folds = Folds([{one.id: "test", other.id: "validation"}, {other.id: "test"}])
    with pytest.raises(
        InputError, match=r"none of the 2 items is in the validation split of fold 1.*--limit"
    ):
        folds.check_validation([one.id, other.id])
    folds.check_validation([])
    third = Folds([*folds.splits[:1], {other.id: "test", one.id: "validation"}, {"third": "test"}])
    third.check_validation([one.id, other.id])
    expected = [fit_temperature([other]), fit_temperature([one])]
    assert list(third.scaled([one, other])[1]) == expected


def test_a_sample_without_validation_items_is_refused(corpus: Iemocap) -> None:
    items = ids(list(corpus.read()))
    folds = folds_of(corpus, items)
    folds.check_validation(items)
    unlucky = [name for name in items if name not in folds.ids(1, "validation")]
    with pytest.raises(
        InputError, match="is in the validation split of fold 1, on which the temperature for its"
    ):
        folds.check_validation([*unlucky, *folds.ids(0, "validation") - folds.ids(1, "validation")])


class Given(Iemocap):
    """A corpus that says itself which item is in which split."""

    draws_splits = False


class Same(Iemocap):
    """A corpus whose folds all test the same session."""

    test_session = 5


def test_a_corpus_without_folds_that_test_each_item_once_is_refused(corpus: Iemocap) -> None:
    items = ids(list(corpus.read()))
    with pytest.raises(InputError, match=r"corpus iemocap: it says itself which item is in which split"):
        folds_of(Given(corpus.root), items)
    with pytest.raises(InputError, match=rf"item {items[0]} is in the test of 0 folds, not of one"):
        folds_of(Same(corpus.root), items)
    with pytest.raises(InputError, match="there is no training item to average"):
        Folds([{items[0]: "test"}]).prior(list(corpus.read())[:1], list(corpus.read()))
