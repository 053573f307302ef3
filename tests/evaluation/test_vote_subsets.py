"""Subsets of votes without replacement: by enumeration, by simulation from a known distribution, at the ends."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from lalm_ambig.core.class_terms import js_terms, kl_terms
from lalm_ambig.core.distributions import js_divergence, kl, majority
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.intervals import Clusters
from lalm_ambig.evaluation.vote_subsets import (
    VotedItems,
    against_all,
    against_others,
    against_rest,
    count_chances,
    draw_votes,
    majorities,
    other_majorities,
    pair_disagreement,
    subsets,
    whole_votes,
)

ROWS = [[3, 2, 1], [6, 0, 0], [2, 2, 2]]


def voted(rows, groups=None) -> VotedItems:
    votes = torch.as_tensor(rows)
    return VotedItems(tuple(f"i{n}" for n in range(len(votes))), votes, Clusters(groups))


def counts(labels, classes: int) -> Tensor:
    return torch.bincount(torch.tensor(labels), minlength=classes).double()


def enumerated(row: list[int], drawn: int, other) -> float:
    """The mean of `other(subset, rest)` over every subset of n of the single votes."""
    labels = [c for c, count in enumerate(row) for _ in range(count)]
    values = []
    for chosen in itertools.combinations(range(len(labels)), drawn):
        rest = [label for at, label in enumerate(labels) if at not in chosen]
        values.append(other(counts([labels[at] for at in chosen], len(row)), rest))
    return float(np.mean(values))


@pytest.mark.parametrize("drawn", [1, 2, 3, 5])
@pytest.mark.parametrize(("terms", "divergence"), [(js_terms, js_divergence), (kl_terms, kl)])
def test_against_all_is_the_mean_over_every_subset(drawn: int, terms, divergence) -> None:
    found = against_all(voted(ROWS), drawn, terms)
    for row, value in zip(ROWS, found.tolist(), strict=True):
        everything = torch.tensor(row).double() / sum(row)
        wanted = enumerated(row, drawn, lambda part, _, p=everything: float(divergence(part / drawn, p)))
        assert value == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("drawn", [1, 2, 4])
def test_against_the_rest_is_the_mean_over_every_subset(drawn: int) -> None:
    found = against_rest(voted(ROWS), drawn, js_terms)
    for row, value in zip(ROWS, found.tolist(), strict=True):

        def distance(part: Tensor, rest: list[int]) -> float:
            return float(js_divergence(part / drawn, counts(rest, 3) / len(rest)))

        assert value == pytest.approx(enumerated(row, drawn, distance), abs=1e-12)


@pytest.mark.parametrize("drawn", [1, 2, 3])
def test_against_others_is_the_mean_over_every_pair_of_groups_that_share_no_vote(drawn: int) -> None:
    found = against_others(voted(ROWS), drawn, js_terms)
    for row, value in zip(ROWS, found.tolist(), strict=True):

        def distance(part: Tensor, rest: list[int]) -> float:
            others = itertools.combinations(rest, drawn)
            return float(
                np.mean([float(js_divergence(part / drawn, counts(one, 3) / drawn)) for one in others])
            )

        assert value == pytest.approx(enumerated(row, drawn, distance), abs=1e-12)


def test_all_votes_are_at_distance_0_from_themselves() -> None:
    # with replacement, six draws of six votes would differ from them
    assert against_all(voted(ROWS), 6, js_terms).tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    same, tied = majorities(voted(ROWS), 6, seed=0, draws=5)
    assert same.tolist() == [1, 1, 1]
    assert tied.tolist() == [0, 0, 1]


def test_chances_are_hypergeometric_and_sum_to_1() -> None:
    # 2 of 5 votes, of which 2 are for the class: 3, 6 and 1 of the 10 pairs
    assert count_chances(torch.tensor([2]), torch.tensor([5]), 2)[0].tolist() == pytest.approx(
        [0.3, 0.6, 0.1]
    )
    for drawn in (1, 40, 100):
        chances = count_chances(torch.tensor([0, 37, 100]), torch.tensor([100] * 3), drawn)
        assert chances.sum(-1).tolist() == pytest.approx([1, 1, 1], abs=1e-9)


def test_draws_are_without_replacement_and_have_the_right_mean() -> None:
    generator, votes = np.random.default_rng(0), np.array(ROWS * 3000)
    drawn = draw_votes(votes, 4, generator)
    assert (drawn.sum(-1) == 4).all()
    assert (drawn <= votes).all()
    np.testing.assert_allclose(drawn.reshape(-1, 3, 3).mean(0), np.array(ROWS) * 4 / 6, atol=0.05)
    # variance of a count of m = 3 in 4 of 6: n m/N (1 − m/N) (N − n)/(N − 1) = 0.4; with replacement it would be 1
    assert drawn.reshape(-1, 3, 3)[:, 0, 0].var() == pytest.approx(0.4, abs=0.04)


def test_two_groups_of_real_votes_are_two_panels_whatever_number_of_votes_there_is() -> None:
    generator = np.random.default_rng(1)
    true_dist = np.array([0.6, 0.3, 0.1])
    for total in (6, 40):  # unbiased for any total: only the noise differs
        items = voted(generator.multinomial(total, true_dist, size=20_000))
        panels = [torch.from_numpy(generator.multinomial(3, true_dist, size=40_000)) / 3 for _ in range(2)]
        wanted = float(js_divergence(panels[0].double(), panels[1].double()).mean())
        assert float(against_others(items, 3, js_terms).mean()) == pytest.approx(wanted, abs=0.006)
        first, second = (panel.argmax(-1) for panel in panels)
        same = float((first == second).double().mean())
        assert float(other_majorities(items, 3, seed=0, draws=4).mean()) == pytest.approx(same, abs=0.01)


@pytest.mark.parametrize("drawn", [1, 3, 6])
def test_the_distance_from_the_distribution_behind_lies_between_all_votes_and_the_rest(drawn: int) -> None:
    generator = np.random.default_rng(2)
    behind = generator.dirichlet([0.5] * 4, size=8_000)
    items = voted(generator.multinomial(12, behind))
    panels = torch.from_numpy(generator.multinomial(drawn, behind) / drawn)
    true = float(js_divergence(panels, torch.from_numpy(behind)).mean())
    low, high = (float(of(items, drawn, js_terms).mean()) for of in (against_all, against_rest))
    assert low < true < high


def test_pairs_of_votes_give_the_brier_score_against_what_is_behind_them() -> None:
    generator = np.random.default_rng(3)
    behind = generator.dirichlet([0.5] * 3, size=30_000)
    votes = generator.multinomial(5, behind)
    wanted = float(((generator.multinomial(4, behind) / 4 - behind) ** 2).sum(-1).mean())
    assert float(pair_disagreement(voted(votes)).mean()) / 4 == pytest.approx(wanted, abs=0.004)
    naive = float((1 - ((votes / 5) ** 2).sum(-1)).mean()) / 4  # the votes taken for the distribution
    assert naive < wanted - 0.01


def test_majorities_are_those_of_every_subset() -> None:
    same, tied = majorities(voted(ROWS), 3, seed=0, draws=4000)
    for place, row in enumerate(ROWS):
        of_all = majority(torch.tensor(row).double())
        wanted = enumerated(row, 3, lambda part, _, y=of_all: float(majority(part) == y))
        ties = enumerated(row, 3, lambda part, _: float((part == part.max()).sum() > 1))
        assert float(same[place]) == pytest.approx(wanted, abs=0.03)
        assert float(tied[place]) == pytest.approx(ties, abs=0.03)


def test_draws_of_n_do_not_depend_on_other_numbers() -> None:
    one, other = (list(subsets(voted(ROWS), 2, seed=5, draws=3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_items_with_fewer_votes_leave_with_their_speakers() -> None:
    items = voted([[1, 0], [2, 1], [0, 4]], ("a", "b", "c")).with_votes(3)
    assert items.ids == ("i1", "i2")
    assert items.clusters.groups == ("b", "c")


def test_shares_are_no_votes() -> None:
    with pytest.raises(InputError, match=r"corpus x: item i0 has votes 0\.5, 0\.5: these are shares"):
        whole_votes(torch.tensor([[0.5, 0.5]]), ("i0",), where="corpus x")
    assert whole_votes(torch.tensor([[2.0, 1.0]]), ("i0",), where="").tolist() == [[2, 1]]
