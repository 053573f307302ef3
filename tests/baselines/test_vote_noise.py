"""The floors at n votes, by enumeration and against the floor that `describe` prints; the rows and the conclusion."""

import numpy as np
import pytest
import torch
from scipy.stats import multinomial

from lalm_ambig.baselines.floor import fit_alpha, noise_floor, smoothed_votes
from lalm_ambig.baselines.vote_noise import binomial_chances, oracle_noise, panel_noise
from lalm_ambig.baselines.vote_rows import MEASURES, default_votes, enough_votes, vote_rows
from lalm_ambig.core.class_terms import js_terms, kl_terms
from lalm_ambig.core.distributions import js_divergence, kl
from lalm_ambig.evaluation.intervals import Clusters
from lalm_ambig.evaluation.vote_subsets import VotedItems

ROWS = [[3, 2, 1], [6, 0, 0]]
ALPHA = 0.2


def voted(rows, groups=None) -> VotedItems:
    votes = torch.as_tensor(rows)
    return VotedItems(tuple(f"i{n}" for n in range(len(votes))), votes, Clusters(groups))


def panels(q: np.ndarray, drawn: int) -> tuple[np.ndarray, np.ndarray]:
    """Every panel of n as shares, with its chance."""
    grid = np.array([(a, b, drawn - a - b) for a in range(drawn + 1) for b in range(drawn + 1 - a)])
    return grid / drawn, multinomial.pmf(grid, drawn, q)


@pytest.mark.parametrize("drawn", [1, 2, 5, 9])
def test_floors_are_the_means_over_every_panel(drawn: int) -> None:
    q = smoothed_votes(torch.tensor(ROWS).double(), ALPHA)
    oracle = oracle_noise(voted(ROWS), drawn, js_terms, alpha=ALPHA)
    in_nats = oracle_noise(voted(ROWS), drawn, kl_terms, alpha=ALPHA)
    panel = panel_noise(voted(ROWS), drawn, js_terms, alpha=ALPHA)
    for place, behind in enumerate(q):
        shares, chances = (torch.from_numpy(one) for one in panels(behind.numpy(), drawn))
        spread_out = behind.expand_as(shares)
        wanted = (chances * js_divergence(shares, spread_out)).sum()
        assert float(oracle[place]) == pytest.approx(float(wanted), abs=1e-10)
        assert float(in_nats[place]) == pytest.approx(
            float((chances * kl(shares, spread_out)).sum()), abs=1e-9
        )
        pairs = js_divergence(shares[:, None].expand(-1, len(shares), -1), shares.expand(len(shares), -1, -1))
        assert float(panel[place]) == pytest.approx(float(chances @ pairs @ chances), abs=1e-10)


def test_floors_are_those_of_describe() -> None:
    generator = np.random.default_rng(0)
    votes = torch.from_numpy(generator.multinomial(9, generator.dirichlet([0.4] * 4, size=800)))
    floor, items = noise_floor(votes.double()), voted(votes)
    oracle = float(oracle_noise(items, 9, js_terms, alpha=floor["alpha"]).mean())
    panel = float(panel_noise(items, 9, js_terms, alpha=floor["alpha"]).mean())
    assert oracle == pytest.approx(floor["oracle"]["js_div_bits"], abs=0.002)
    assert panel == pytest.approx(floor["panel"]["js_div_bits"], abs=0.002)


def test_chances_of_a_certain_class_are_certain() -> None:
    chances = binomial_chances(torch.tensor([0.0, 1.0], dtype=torch.float64), 3)
    assert chances.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_rows_leave_out_items_with_fewer_votes_and_count_them() -> None:
    generator = np.random.default_rng(1)
    sizes = np.array([4] * 30 + [8] * 20)
    items = voted(generator.multinomial(sizes, generator.dirichlet([0.5] * 3, size=50)))
    rows = vote_rows(items, [1, 3, 8], alpha=fit_alpha(items.votes.double()))
    assert [(row.votes, row.items, row.pair_items) for row in rows] == [(1, 50, 50), (3, 50, 20), (8, 20, 0)]
    assert list(rows[0].values) == list(MEASURES)
    assert "js_others" not in rows[2].values
    for row in rows:
        for interval in row.values.values():
            assert interval.low <= interval.value <= interval.high


def test_with_q_of_the_same_votes_the_brier_noise_is_the_same_both_ways() -> None:
    generator = np.random.default_rng(2)
    items = voted(generator.multinomial(7, generator.dirichlet([0.5] * 3, size=60)))
    (row,) = vote_rows(items, [4], alpha=fit_alpha(items.votes.double()))
    assert row.values["brier_noise"].value == pytest.approx(row.values["brier_oracle"].value, abs=1e-6)
    assert row.values["brier_panel"].value == pytest.approx(2 * row.values["brier_noise"].value)


def test_the_usual_numbers_are_those_that_ten_items_have_and_the_median() -> None:
    items = voted([[3, 1]] * 15 + [[4, 2]] * 20 + [[9, 3]] * 5)
    assert default_votes(items) == [1, 2, 3, 5, 6]
    assert default_votes(voted([[60, 40]] * 12))[-3:] == [50, 75, 100]


def test_enough_is_the_first_number_whose_doubling_gains_too_little() -> None:
    items = voted([[60, 40], [90, 10]])
    votes = [1, 2, 5, 10, 20, 50, 100]
    found = enough_votes(items, votes, alpha=0.3, tolerance=0.01)

    def noise(n: int) -> float:
        return float(oracle_noise(items, n, js_terms, alpha=0.3).mean())

    gains = {n: noise(n) - noise(2 * n) for n in votes}
    assert found.votes == next(n for n in votes if gains[n] < 0.01)
    assert (found.noise, found.doubled) == (noise(found.votes), noise(2 * found.votes))
    assert not found.is_extrapolated
    beyond = enough_votes(items, [1, 2], alpha=0.3, tolerance=0.01)
    assert beyond.is_extrapolated
    assert beyond.votes == pytest.approx(found.votes, abs=10)
    assert enough_votes(items, votes, alpha=0.3, tolerance=1e-7).votes is None
