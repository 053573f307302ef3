"""What people themselves would score: by hand, by enumeration, and on CREMA-D."""

import csv
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import binom
from torch import Tensor

from lalm_ambig.baselines.floor import (
    LARGEST_ALPHA,
    alpha_bound,
    alpha_text,
    disagreement,
    fit_alpha,
    noise_floor,
    panel_sampler,
    smoothed_votes,
)
from lalm_ambig.core.distributions import brier_sum, kl
from lalm_ambig.core.errors import InputError
from lalm_ambig.metrics.base import all_metrics

VOTES = Path("shared/data/CREMA-D/processedResults/tabulatedVotes.csv")


def voice_votes() -> Tensor:
    """CREMA-D's voice-only rows; the shared data lies beside this repository or beside a folder above it."""
    found = [folder / VOTES for folder in Path(__file__).resolve().parents if (folder / VOTES).is_file()]
    if not found:
        pytest.skip("CREMA-D's vote table is not beside the repository")
    with found[0].open(newline="", encoding="utf-8") as file:
        rows = [row[1:7] for row in csv.reader(file) if row[0].startswith("1")]
    return torch.tensor([[float(count) for count in row] for row in rows])


def random_votes(items: int = 300) -> Tensor:
    generator = np.random.default_rng(0)
    true_dist = generator.dirichlet([0.4] * 4, size=items)
    return torch.from_numpy(generator.multinomial(generator.integers(3, 9, items), true_dist)).double()


def test_crema_d_has_the_numbers_of_the_specification() -> None:
    votes = voice_votes()
    assert votes.shape == (7442, 6)
    found = noise_floor(votes)
    assert found["disagreement"] == pytest.approx(0.535, abs=5e-4)
    assert found["alpha"] == pytest.approx(0.144, abs=5e-4)
    assert found["panel"]["js_div_bits"] == pytest.approx(0.135, abs=1e-3)
    assert found["panel"]["bc"] == pytest.approx(0.876, abs=1e-3)
    assert found["oracle"]["js_div_bits"] == pytest.approx(0.084, abs=1e-3)
    assert found["oracle"]["bc"] == pytest.approx(0.926, abs=1e-3)


def test_disagreement_by_hand() -> None:
    # (2, 1): one pair of three is the same; (3, 0): all are; (1, 1): none is; one vote makes no pair
    votes = torch.tensor([[2.0, 1.0], [3.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    assert disagreement(votes) == pytest.approx((2 / 3 + 0 + 1) / 3)


def test_shared_votes_say_nothing_of_disagreement() -> None:
    """Two raters who each share a vote evenly between two classes: draws of theirs differ half the time, not always."""
    votes = torch.tensor([[1.0, 1.0], [1.5, 0.5]])
    for measured in (disagreement, fit_alpha, noise_floor):
        with pytest.raises(
            InputError, match=r"noise floor: an item has votes 1\.5, 0\.5: shares of votes are no"
        ):
            measured(votes)


def test_disagreement_counts_pairs_of_raters() -> None:
    votes = random_votes(30)
    wanted = []
    for row in votes.long().tolist():
        raters = [c for c, count in enumerate(row) for _ in range(count)]
        pairs = list(itertools.combinations(raters, 2))
        wanted.append(sum(a != b for a, b in pairs) / len(pairs))
    assert disagreement(votes) == pytest.approx(np.mean(wanted))


def test_disagreement_is_unbiased_whatever_the_number_of_raters() -> None:
    generator = np.random.default_rng(1)
    true_dist = np.array([0.6, 0.3, 0.1])
    for raters in (2, 5):
        votes = torch.from_numpy(generator.multinomial(raters, true_dist, size=40_000)).double()
        assert disagreement(votes) == pytest.approx(1 - (true_dist**2).sum(), abs=0.006)


def test_alpha_makes_two_raters_drawn_from_q_disagree_as_often_as_real_ones() -> None:
    votes = random_votes()
    alpha = fit_alpha(votes)
    true_dist = (votes + alpha) / (votes.sum(-1, keepdim=True) + 4 * alpha)
    assert 0.01 < alpha < 1
    assert float((1 - true_dist.square().sum(-1)).mean()) == pytest.approx(disagreement(votes), abs=1e-7)


def test_alpha_at_its_two_ends() -> None:
    agreeing = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    assert fit_alpha(agreeing) == 0
    assert noise_floor(agreeing)["panel"]["js_div_bits"] == 0
    differing = torch.tensor([[1.0, 1.0]])
    assert fit_alpha(differing) == LARGEST_ALPHA
    assert [alpha_bound(fit_alpha(votes)) for votes in (agreeing, differing)] == ["lower", "upper"]
    assert alpha_bound(fit_alpha(random_votes())) is None
    assert alpha_text(fit_alpha(differing)) == "over 1000, its upper bound"


def test_panel_and_oracle_equal_an_enumeration_of_all_panels() -> None:
    votes = torch.tensor([[2.0, 1.0]]).repeat(3000, 1)
    q = float(smoothed_votes(votes, fit_alpha(votes))[0, 0])
    shares = np.arange(4) / 3
    chances = binom.pmf(np.arange(4), 3, q)
    apart = np.array([[jensenshannon([a, 1 - a], [b, 1 - b], base=2) ** 2 for b in shares] for a in shares])
    to_q = np.array([jensenshannon([a, 1 - a], [q, 1 - q], base=2) ** 2 for a in shares])
    found = noise_floor(votes)
    assert found["panel"]["js_div_bits"] == pytest.approx(chances @ apart @ chances, abs=0.005)
    assert found["oracle"]["js_div_bits"] == pytest.approx(chances @ to_q, abs=0.003)
    assert found["oracle"]["brier_sum"] == pytest.approx(2 * q * (1 - q) / 3, abs=0.003)
    assert found["panel"]["brier_sum"] == pytest.approx(4 * q * (1 - q) / 3, abs=0.006)


def test_nothing_beats_the_oracle_on_the_proper_scores() -> None:
    votes = random_votes()
    alpha = fit_alpha(votes)
    true_dist, draw = smoothed_votes(votes, alpha), panel_sampler(votes, alpha, seed=0)
    targets = [draw() for _ in range(50)]
    for score in (brier_sum, kl):
        best = np.mean([float(score(target, true_dist).mean()) for target in targets])
        for power in (0.8, 1.25):
            other = true_dist**power / (true_dist**power).sum(-1, keepdim=True)
            assert best < np.mean([float(score(target, other).mean()) for target in targets])


def test_panels_have_the_size_of_the_items_own_and_the_mean_q() -> None:
    votes = torch.tensor([[1.0, 0.0, 0.0], [2.0, 2.0, 1.0], [0.5, 0.0, 0.0]])
    draw = panel_sampler(votes, 0.2, seed=0)
    drawn = torch.stack([draw() for _ in range(4000)])
    sizes = torch.tensor([1.0, 5.0, 1.0])[:, None]
    assert torch.equal((drawn * sizes).round(), drawn * sizes)
    torch.testing.assert_close(drawn.mean(0), smoothed_votes(votes.double(), 0.2), atol=0.03, rtol=0)


def test_the_seed_decides_and_every_metric_has_an_entry() -> None:
    votes = random_votes(50)
    first, again, other = (noise_floor(votes, seed=seed, draws=2) for seed in (0, 0, 1))
    assert first == again
    assert first["panel"] != other["panel"]
    names = {metric.name for metric in all_metrics(4, ordered=False)}
    assert set(first["panel"]) == set(first["oracle"]) == names
    ordered = noise_floor(votes, draws=2, ordered=True)
    assert set(ordered["panel"]) - names == {"wasserstein", "rps", "mae_mean"}
    assert ordered["oracle"]["rps"] < ordered["panel"]["rps"]


def test_an_infinite_score_is_none() -> None:
    found = noise_floor(random_votes())
    assert found["panel"]["kl"] is None
    assert math.isfinite(found["oracle"]["kl"])


def test_items_with_one_vote_say_nothing_about_alpha_but_take_part() -> None:
    votes = random_votes(50)
    single = torch.eye(4)[[0, 1, 2, 3] * 10].double()
    both = torch.cat([votes, single])
    assert fit_alpha(both) == fit_alpha(votes)
    assert noise_floor(both)["panel"]["js_div_bits"] != noise_floor(votes)["panel"]["js_div_bits"]
    with pytest.raises(InputError, match="no item has two votes"):
        noise_floor(single)


@pytest.mark.parametrize("bad", [[-1.0, 3.0], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_votes_that_are_none_are_named(bad: list[float]) -> None:
    with pytest.raises(InputError, match=r"item 1 has votes \[.*\]; expected some, none negative"):
        noise_floor(torch.tensor([[2.0, 1.0], bad]))
