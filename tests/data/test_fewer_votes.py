"""Some of an item's votes, drawn without replacement, in training alone."""

from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.data.datamodule import DataModule, MethodNeeds
from lalm_ambig.data.fewer_votes import FewerVotes


@pytest.mark.parametrize("votes", [1, 2, 3])
def test_n_of_the_votes_are_drawn_without_replacement_and_with_their_shares(votes: int) -> None:
    """The mean share over 4,000 items is that of all votes, to within 4 standard errors."""
    item = Item("x", (5.0, 3.0, 1.0), annotators=("a",) * 9, annotations=(0,) * 9)
    drawn = [FewerVotes(votes, seed=0)(Item(f"{n}", item.votes)) for n in range(4000)]
    assert {sum(one.votes) for one in drawn} == {float(votes)}
    assert max(one.votes[2] for one in drawn) == 1  # there is one such vote
    mean = sum(one.label_dist[0] for one in drawn) / len(drawn)
    assert abs(mean - 5 / 9) < 4 * (5 / 9 * 4 / 9 / votes / len(drawn)) ** 0.5
    one = FewerVotes(votes, seed=0)(item)
    assert (one.annotators, one.annotations) == ((), ())


def test_a_draw_depends_on_seed_and_item_alone_and_few_votes_stay_as_they_are() -> None:
    items = [Item(f"{n}", (4.0, 4.0)) for n in range(50)]
    first = [FewerVotes(2, seed=0)(item).votes for item in items]
    assert first == [FewerVotes(2, seed=0)(item).votes for item in reversed(items)][::-1]
    assert first != [FewerVotes(2, seed=1)(item).votes for item in items]
    assert FewerVotes(3, seed=0)(Item("a", (1.0, 1.0), annotators=("x", "y"), annotations=(0, 1))).annotators


def test_shares_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"data\.train_votes: item a has votes 0\.5, 1\.5: .* leave train_votes out"
    ):
        FewerVotes(1, seed=0)(Item("a", (0.5, 1.5)))


def test_shares_anywhere_are_refused_before_training_starts(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    votes = ['{"no": 2, "yes": 2}'] * 30 + ['{"no": 1.5, "yes": 0.5}']
    rows = [
        f'{{"id": "{n}", "text": "t{n}", "votes": {one}, "split": "train"}}' for n, one in enumerate(votes)
    ]
    path.write_text("\n".join(rows))
    data = DataModule(JsonLines(path), train_votes=2).prepared_for(MethodNeeds(rationale=False))
    with pytest.raises(InputError, match=r"data\.train_votes: item 30 has votes 1\.5, 0\.5"):
        data.train_items()


def test_training_has_fewer_votes_and_the_rest_has_all(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    rows = [
        f'{{"id": "{n}", "text": "t{n}", "votes": {{"no": 4, "yes": 2}}, "split": "{split}"}}'
        for n, split in enumerate(["train"] * 6 + ["validation"] * 2 + ["test"] * 2)
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = DataModule(JsonLines(root=path), train_votes=1, seed=3)
    data = data.prepared_for(MethodNeeds(rationale=False))
    assert {sum(item.votes) for item in data.train_items()} == {1.0}
    assert sum(data.train_items()[0].votes) == 1
    assert {sum(item.votes) for item in data.train_items()[1:3]} == {1.0}
    for split in ("train", "validation", "test"):
        assert {sum(item.votes) for item in data.items(split)} == {6.0}
    with pytest.raises(InputError, match="train_votes must be at least 1, got 0"):
        DataModule(JsonLines(root=path), train_votes=0)
