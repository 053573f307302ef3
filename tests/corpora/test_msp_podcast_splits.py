"""The two ways to split MSP-Podcast: the papers' five folds by item, and the corpus's own parts."""

from collections import Counter
from pathlib import Path

import pytest
from layouts.msp_podcast import TURNS, write
from msp_podcast_reading import notes, read

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.msp_podcast.corpus import MspPodcast, even_folds

OUTSIDE = {"MSP-PODCAST_0001_0020", "MSP-PODCAST_0003_0003", "MSP-PODCAST_0005_0002"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "MSP-Podcast")


def speakers(items: dict[str, Item], split: str) -> set[str]:
    return {item.speaker for item in items.values() if item.split == split and item.speaker}


def test_the_papers_folds_are_even_and_every_item_is_tested_once() -> None:
    names = [f"t{n}" for n in range(23)]
    tested: Counter[str] = Counter()
    for fold in range(5):
        splits = even_folds(names, seed=1, test_fold=fold)
        following = even_folds(names, seed=1, test_fold=(fold + 1) % 5)
        sizes = Counter(splits.values())
        assert {sizes["test"], sizes["validation"]} <= {4, 5}
        assert sizes["train"] == 23 - sizes["test"] - sizes["validation"]
        tested.update(name for name, split in splits.items() if split == "test")
        assert {n for n, s in splits.items() if s == "validation"} == {
            n for n, s in following.items() if s == "test"
        }
    assert tested == Counter(names)
    assert even_folds(names, seed=2, test_fold=0) != even_folds(names[::-1], seed=1, test_fold=0)
    assert even_folds(names[::-1], seed=1, test_fold=0) == even_folds(names, seed=1, test_fold=0)


def test_the_papers_split_shares_speakers_and_says_so_where_the_official_does_not(root: Path) -> None:
    papers, official = read(root), read(root, split="official")
    assert speakers(papers, "train") & speakers(papers, "validation") & {"11", "21", "31"}
    assert not MspPodcast(root).speaker_disjoint
    assert "five even folds by item (SHALA-LLM), so that a speaker is in several splits" in notes(root)[1]
    for split in ("validation", "test"):
        assert not speakers(official, "train") & speakers(official, split)
    assert MspPodcast(root, split="official").speaker_disjoint


def test_a_subset_of_the_sound_is_split_as_the_whole(root: Path) -> None:
    whole = {name: item.split for name, item in read(root).items()}
    (root / "Audios" / "MSP-PODCAST_0002_0003.wav").unlink()
    assert {name: item.split for name, item in read(root, skip_bad_rows=True).items()} == {
        name: split for name, split in whole.items() if name != "MSP-PODCAST_0002_0003"
    }


def test_the_official_split_is_train_development_and_test1(root: Path) -> None:
    items = read(root, split="official")
    of_part = {"Train": "train", "Development": "validation", "Test1": "test"}
    assert {name: item.split for name, item in items.items()} == {
        name: of_part[turn.part]
        for name, turn in TURNS.items()
        if name not in OUTSIDE and turn.part in of_part
    }
    assert "1 turns of Test2 and Test3 left out" in notes(root, split="official")
    for name in ("labels_consensus.csv", "labels_consensus.json"):
        (root / "Labels" / name).unlink()
    with pytest.raises(InputError, match=r"not found: Labels/labels_consensus\.csv under"):
        read(root, split="official")
