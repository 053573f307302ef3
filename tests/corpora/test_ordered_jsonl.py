"""Ordered classes in a JSON Lines corpus: declared in the file or by an option, and never guessed."""

import json
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import LALM_METRICS, SCALE_METRICS, SHALA_METRICS, open_corpus
from lalm_ambig.corpora.jsonl.columns import Columns
from lalm_ambig.corpora.jsonl.corpus import JsonLines, check_ordered
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.corpora.reading.elsewhere import Elsewhere

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


@pytest.mark.parametrize(
    "names", [["1", "3", "2"], ["1", "1.0", "2"], ["-1", "-2", "0"], ["0.5", "0", "1"], ["1", "2", "10", "3"]]
)
def test_steps_that_neither_rise_nor_fall_are_refused(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"id": str(n), "text": f"text {n}", "votes": {names[0]: 1}} for n in range(12)]
    head = {"categories": names, "ordered": True}
    path.write_text("".join(json.dumps(row) + "\n" for row in (head, *rows)))
    with pytest.raises(
        InputError, match="the steps of a scale are numbers that neither rise nor fall"
    ) as wrong:
        list(open_corpus("jsonl", path).read())
    assert "\n" not in str(wrong.value)
    assert CategorySet(tuple(names)).names == tuple(names), "without an order any is fine"


@pytest.mark.parametrize("names", [("3", "2", "1"), ("-2", "-1.5", "0"), ("low", "10", "2"), ("1e-3", "1")])
def test_falling_numbers_and_words_may_be_steps(names: tuple[str, ...]) -> None:
    assert CategorySet(names, ordered=True).names == names


@pytest.mark.parametrize("key", ["orderd", "Ordered", "order", "ORDERED ", "catagories", "profile", "Domain"])
def test_a_misspelt_key_of_the_first_line_is_named(tmp_path: Path, key: str) -> None:
    head = {"categories": SCALE, key: True}
    with pytest.raises(InputError, match=r"a\.jsonl:1: .* is no key of the first line: write \"\w+\""):
        open_corpus("jsonl", written(tmp_path / "a.jsonl", head)).categories  # noqa: B018


@pytest.mark.parametrize("key", ["description", "license", "source", "version", "name", "comment"])
def test_a_key_of_ones_own_is_no_mistake(tmp_path: Path, key: str) -> None:
    corpus = open_corpus("jsonl", written(tmp_path / "a.jsonl", {"categories": SCALE, key: "mine"}))
    assert corpus.categories.names == tuple(SCALE)


def test_classes_of_an_option_may_be_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "c.jsonl")
    options = JsonLines.parsed_options({"categories": [*range(1, 11)], "ordered": True})
    assert open_corpus("jsonl", path, **options).categories == CategorySet(tuple(SCALE), ordered=True)
    assert JsonLines.parsed_options({"categories": [-1, 0.5, "2"]})["categories"] == ["-1", "0.5", "2"]
    for wrong in (True, None, [1]):
        with pytest.raises(InputError, match="categories must be texts, got"):
            JsonLines.parsed_options({"categories": ["a", wrong]})


@pytest.mark.parametrize("steps", ["1,1.5,2", "0,0.5,1", "-1,-0.5,0"])
def test_half_steps_may_be_columns_of_a_csv(tmp_path: Path, steps: str) -> None:
    names = steps.split(",")
    path = tmp_path / "h.csv"
    path.write_text(f"id,text,{steps}\na,x,1,0,2\nb,y,0,3,0\nc,z,1,1,1\n")
    columns = Columns(votes=names)
    corpus = open_corpus("jsonl", path, columns=columns, categories=names, ordered=True)
    assert [item.votes for item in corpus.read()] == [(1, 0, 2), (0, 3, 0), (1, 1, 1)]


def test_a_csv_cannot_declare_its_order_and_is_not_told_to(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    path.write_text("id,text,votes\na,x,1\nb,y,2\n")
    with pytest.raises(InputError, match=r"Name them by the option categories\.$"):
        open_corpus("jsonl", path, ordered=True, columns=Columns(votes_as="labels")).categories  # noqa: B018


def test_tables_of_ordered_classes_have_the_metrics_of_a_scale(tmp_path: Path) -> None:
    ordered = open_corpus("jsonl", written(tmp_path / "a.jsonl", {"categories": SCALE, "ordered": True}))
    plain = open_corpus("jsonl", written(tmp_path / "b.jsonl", {"categories": SCALE}))
    assert (ordered.table_metrics, plain.table_metrics) == (SCALE_METRICS, LALM_METRICS)
    assert JsonLines.table_metrics == LALM_METRICS
    facts: dict[str, Any] = {"classes": SCALE, "stem": "text_emotion"}
    for name in ("jsonl", "msp_podcast", "gone"):
        assert Elsewhere(corpus=name, ordered=True, **facts).table_metrics == SCALE_METRICS
    assert Elsewhere(corpus="msp_podcast", **facts).table_metrics == SHALA_METRICS
