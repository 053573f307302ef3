"""Captions of `budget`'s tables: over how many speakers its intervals are."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lalm_ambig.evaluation.intervals import Clusters
from lalm_ambig.evaluation.vote_subsets import VotedItems
from lalm_ambig.reporting.budget.summary import Asked, budget_of
from lalm_ambig.reporting.budget.tables import budget_tables


def drawn_votes(items: int, total: int) -> Tensor:
    generator = np.random.default_rng(0)
    return torch.from_numpy(generator.multinomial(total, generator.dirichlet([0.6] * 3, size=items)))


@pytest.mark.parametrize(
    ("speakers", "said"),
    [
        (8, "Intervals: 95% over 8 speakers. JS"),
        (2, "Intervals: 95% over 2 speakers. An interval over two speakers is little more than a guess. JS"),
        (1, "No interval: 1 speaker, too few to say how far others would differ. JS"),
    ],
)
def test_the_intervals_say_over_how_many_speakers(speakers: int, said: str) -> None:
    votes = drawn_votes(40, 12)
    ids = tuple(f"i{n}" for n in range(len(votes)))
    clusters = Clusters(tuple(f"s{n % speakers}" for n in range(len(votes))))
    found = budget_of("mine", VotedItems(ids, votes, clusters), Asked())
    assert said in " ".join(budget_tables(found)[0].caption)
    assert found.record()["interval_units"] == speakers
    assert (found.rows[0].values["js_all"].low is None) == (speakers == 1)


def test_speakers_who_are_left_in_the_last_row_are_counted() -> None:
    votes = torch.cat([drawn_votes(20, 4), drawn_votes(20, 9)])
    clusters = Clusters(tuple(f"s{n % 8 if n < 20 else n % 3}" for n in range(40)))
    found = budget_of("mine", VotedItems(tuple(map(str, range(40))), votes, clusters), Asked())
    assert "over 8 speakers. At 9 votes: 3 speakers." in " ".join(budget_tables(found)[0].caption)
    same = budget_of("mine", found.items, Asked(has_common_items=True))
    assert "over 3 speakers. JS" in " ".join(budget_tables(same)[0].caption)
