"""Ordered classes in a JSON Lines corpus: declared in the file or by an option, and never guessed."""

import json
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.jsonl.corpus import check_ordered
from lalm_ambig.corpora.preparing.prepared import prepare

SCALE = [str(step) for step in range(1, 11)]


def written(path: Path, *declaration: dict[str, Any]) -> Path:
    rows = [{"id": str(n), "text": f"text {n}", "votes": {"2": n + 1, "10": 1}} for n in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in (*declaration, *rows)))
    return path


def test_a_file_or_an_option_says_that_classes_are_ordered(tmp_path: Path) -> None:
    declared = written(tmp_path / "a.jsonl", {"categories": SCALE, "ordered": True})
    assert open_corpus("jsonl", declared).categories == CategorySet(tuple(SCALE), ordered=True)
    silent = written(tmp_path / "b.jsonl", {"categories": SCALE})
    assert not open_corpus("jsonl", silent).categories.ordered
    assert open_corpus("jsonl", silent, ordered=True).categories.ordered
    plain = written(tmp_path / "c.jsonl")
    assert open_corpus("jsonl", plain, ordered=True, categories=SCALE).categories.names == tuple(SCALE)


def test_an_order_is_kept_on_disk_and_in_the_words_of_another_corpus(tmp_path: Path) -> None:
    corpus = open_corpus("jsonl", written(tmp_path / "a.jsonl", {"categories": SCALE, "ordered": True}))
    kept = prepare(corpus, cache_dir=tmp_path / "cache", quiet=True).categories
    assert kept.ordered
    assert kept.with_words_of(kept).ordered


def test_an_order_without_names_from_lowest_to_highest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ordered classes must be named .*Give the option categories"):
        list(open_corpus("jsonl", written(tmp_path / "c.jsonl"), ordered=True).read())


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_ordered_is_true_or_false(tmp_path: Path, value: object) -> None:
    path = written(tmp_path / "a.jsonl", {"categories": SCALE, "ordered": value})
    with pytest.raises(InputError, match=r'a\.jsonl:1: "ordered" must be true or false'):
        list(open_corpus("jsonl", path).read())


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_the_option_is_true_or_false_as_well(value: object) -> None:
    with pytest.raises(InputError, match=r"corpus jsonl: ordered must be true or false, got"):
        check_ordered(value)
