"""Baselines as predictions in a run's own format."""

from pathlib import Path

import numpy as np
import pytest

from lalm_ambig.baselines.floor import noise_floor, vote_counts
from lalm_ambig.baselines.most_frequent import most_frequent
from lalm_ambig.baselines.oracle import oracle
from lalm_ambig.baselines.panel import panel
from lalm_ambig.baselines.prior import mean_label_dist, prior
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Split
from lalm_ambig.evaluation.predictions import Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.results import About, evaluate_predictions

THREE = CategorySet(("a", "b", "c"))


def items(count: int = 2000, split: Split = "test") -> list[Item]:
    generator = np.random.default_rng(2)
    votes = generator.multinomial(6, generator.dirichlet([0.5, 1, 0.5], size=count)).tolist()
    return [
        Item(f"{split} {n}", tuple(map(float, row)), speaker=str(n % 20), split=split)
        for n, row in enumerate(votes)
    ]


def score(predictions: list[Prediction], name: str) -> float:
    about = About("x", "test", "none", "none", "baseline")
    return evaluate_predictions(predictions, THREE, about=about).metrics[name].value


def test_uniform_gives_every_class_the_same() -> None:
    found = uniform(items(3))
    assert [p.predicted_dist for p in found] == [(1 / 3,) * 3] * 3
    assert found[1].label_dist == items(3)[1].label_dist
    assert uniform([]) == []


def test_prior_is_the_mean_distribution_of_training_where_an_item_counts_once() -> None:
    train = [Item("a", (1.0, 0.0, 0.0)), Item("b", (0.0, 5.0, 5.0))]
    found = prior(items(2), train=train)
    assert [p.predicted_dist for p in found] == [(0.5, 0.25, 0.25)] * 2
    assert [p.split for p in found] == ["test", "test"]


def test_prior_refuses_to_look_at_other_splits_or_at_nothing() -> None:
    with pytest.raises(InputError, match="prior baseline: item test 0 is of split test, not train"):
        prior(items(2), train=items(2))
    with pytest.raises(InputError, match="there is no training item"):
        prior(items(2), train=[])


@pytest.mark.parametrize("name", ["js_div_bits", "bc", "brier_mean", "r2_pearson_item"])
def test_panel_and_oracle_predictions_score_what_the_noise_floor_says(name: str) -> None:
    floor = noise_floor(vote_counts(items()))
    assert score(panel(items()), name) == pytest.approx(floor["panel"][name], abs=0.02)
    assert score(oracle(items()), name) == pytest.approx(floor["oracle"][name], abs=0.01)


def test_they_share_targets_that_are_drawn_and_keep_the_votes() -> None:
    people, best = panel(items(50), seed=3), oracle(items(50), seed=3)
    assert [p.label_dist for p in people] == [p.label_dist for p in best]
    assert [p.votes for p in people] == [item.votes for item in items(50)]
    assert [p.label_dist for p in people] != [item.label_dist for item in items(50)]
    assert [p.label_dist for p in people] != [p.predicted_dist for p in people]
    assert panel(items(50), seed=3) == people != panel(items(50), seed=4)


def test_alpha_of_the_whole_corpus_can_be_given() -> None:
    found = oracle([Item("a", (3.0, 1.0, 0.0), split="test")], alpha=0.5)
    assert found[0].predicted_dist == pytest.approx((3.5 / 5.5, 1.5 / 5.5, 0.5 / 5.5))
    with pytest.raises(InputError, match="there is no item"):
        oracle([])


def test_the_order_of_baselines_is_as_expected() -> None:
    train = items(500, "train")
    rows = (uniform(items()), prior(items(), train=train), panel(items()), oracle(items()))
    scores = [score(row, "brier_mean") for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4


def test_they_are_written_and_read_as_a_run_is(tmp_path: Path) -> None:
    for rows in (uniform(items(5)), panel(items(5)), oracle(items(5))):
        assert read_predictions(write_predictions(tmp_path / "p.jsonl", rows)) == rows


def test_the_most_frequent_class_of_training_has_all_of_the_probability() -> None:
    train = items(split="train")
    mean = mean_label_dist(train)
    [first, *_] = found = most_frequent(items(3), train=train)
    assert {p.predicted_dist for p in found} == {first.predicted_dist}
    assert first.predicted_dist.index(1.0) == mean.index(max(mean))
    assert sum(first.predicted_dist) == 1
