"""The prior of one corpus, mapped to the classes of another."""

import pytest

from lalm_ambig.baselines.prior import mapped_prior
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item

TRAINED = CategorySet(("anger", "fear", "happiness"))
TRAIN = [Item("a", (1.0, 0.0, 1.0)), Item("b", (0.0, 8.0, 2.0))]  # mean: .25, .4, .35
ASKED = [Item(f"t{n}", (1.0, 2.0, 0.0), split="test") for n in range(2)]


def test_it_is_restricted_to_the_shared_classes_and_renormalised() -> None:
    target = CategorySet(("joy", "surprise", "angry"))
    found = mapped_prior(ASKED, train=TRAIN, trained=TRAINED, categories=target)
    assert [p.id for p in found] == ["t0", "t1"]
    for prediction in found:
        assert prediction.predicted_dist == pytest.approx((0.35 / 0.6, 0, 0.25 / 0.6))
        assert prediction.votes == (1.0, 2.0, 0.0)


def test_without_a_shared_class_there_is_none() -> None:
    target = CategorySet(("entailment", "neutral", "contradiction"))
    with pytest.raises(InputError, match="mapped prior: no training item has a vote for any of entailment"):
        mapped_prior(ASKED, train=TRAIN, trained=TRAINED, categories=target)


def test_it_refuses_to_look_at_other_splits() -> None:
    with pytest.raises(InputError, match="item t0 is of split test, not train"):
        mapped_prior(ASKED, train=ASKED, trained=TRAINED, categories=TRAINED)
