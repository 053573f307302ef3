"""Results of a policy that was trained on another corpus: what they say about its classes, on disk and in print."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.evaluation.cross_domain import mapping_note
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.evaluation.table import main_table
from lalm_ambig.tabular.writers import plain_markdown, terminal

TRAINED = ("angry", "sad", "fear", "joy")
NOTE = (
    "cross-domain, trained on iemocap; classes mapped from iemocap by key: anger (angry), sadness (sad); "
    "restricted to 2 of 4 trained classes and renormalised; never trained: neutral"
)


@pytest.fixture(scope="module")
def elsewhere(about: About) -> About:
    return replace(about, trained_on="iemocap", trained_classes=TRAINED)


@pytest.fixture(scope="module")
def results(predictions: list[Prediction], categories: CategorySet, elsewhere: About) -> Results:
    return evaluate_predictions(predictions, categories, about=elsewhere)


@pytest.fixture(scope="module")
def at_home(predictions: list[Prediction], categories: CategorySet, about: About) -> Results:
    return evaluate_predictions(predictions, categories, about=about)


@pytest.mark.parametrize(
    ("asked", "trained", "note"),
    [
        (("joy", "anger"), ("anger", "happy"), "joy (happy), anger"),
        (
            ("joy", "fear"),
            ("fear", "joy", "anger"),
            "joy, fear; restricted to 2 of 3 trained classes and renormalised",
        ),
        (("joy", "fear"), ("happiness", "fear"), "joy (happiness), fear"),
        (
            ("joy", "fear", "awe"),
            ("fear", "joy"),
            "joy, fear; never trained: awe",
        ),
        (("a", "b"), ("fear", "joy"), "none; never trained: a, b"),
    ],
)
def test_the_note_says_what_is_shared_what_is_left_out_and_what_is_new(
    asked: tuple[str, ...], trained: tuple[str, ...], note: str
) -> None:
    found = mapping_note(CategorySet(asked), CategorySet(trained), trained_on="x")
    assert found == f"classes mapped from x by key: {note}"


def test_results_carry_the_note_first_and_score_as_ever(results: Results, at_home: Results) -> None:
    assert results.notes == (NOTE, *at_home.notes)
    assert results.metrics == at_home.metrics
    assert results.categories == ("anger", "neutral", "sadness")


def test_a_majority_class_that_was_never_trained_is_flagged(
    results: Results, at_home: Results, predictions: list[Prediction], elsewhere: About
) -> None:
    notes = {name: part.note for name, part in results.by_majority.items()}
    assert notes == {"anger": None, "neutral": "never trained", "sadness": None}
    assert results.by_majority["neutral"].metrics == at_home.by_majority["neutral"].metrics
    four = [p for p in predictions if p.votes[1] > max(p.votes[0], p.votes[2])][:4]
    few = evaluate_predictions(four, CategorySet(results.categories), about=elsewhere)
    assert few.by_majority["neutral"].note == "never trained; no interval: 4 items"
    assert few.by_majority["anger"].note == "no item"


def test_at_home_no_class_is_unseen(about: About, categories: CategorySet, at_home: Results) -> None:
    assert about.unseen(categories) == ()
    assert all(part.note is None for part in at_home.by_majority.values())


def test_the_file_records_the_corpus_trained_on(tmp_path: Path, results: Results) -> None:
    path = write_results(tmp_path / "metrics.json", results)
    row = json.loads(path.read_text(encoding="utf-8"))
    assert (row["corpus"], row["trained_on"], row["trained_classes"]) == ("demo", "iemocap", list(TRAINED))
    assert row["notes"][0] == NOTE
    assert read_results(path) == results


def test_a_file_from_before_these_fields_is_read_as_in_domain(tmp_path: Path, at_home: Results) -> None:
    path = write_results(tmp_path / "metrics.json", at_home)
    row = json.loads(path.read_text(encoding="utf-8"))
    del row["trained_on"], row["trained_classes"]
    path.write_text(json.dumps(row), encoding="utf-8")
    assert read_results(path) == at_home


def test_the_caption_says_it_once_for_all_rows_that_it_is_about(results: Results, at_home: Results) -> None:
    text = plain_markdown(main_table({"a": results, "home": at_home, "b": results}))
    assert f"\na, b: {NOTE}.\n" in text
    assert text.count("cross-domain") == 1


def test_notes_about_metrics_that_are_no_column_stay_out_of_the_caption(results: Results) -> None:
    noted = replace(results, notes=("kl is infinite: why", "bc is undefined: why", "something else"))
    text = plain_markdown(main_table({"a": noted}))
    assert "kl" not in text
    assert "a: bc is undefined: why.\na: something else.\n" in text


def test_a_long_name_takes_two_lines_and_leaves_eighty_columns_to_the_numbers(results: Results) -> None:
    console = Console(width=80)
    table = main_table({"in-domain prior of it": results, "demo-tiny-sft-0123abcd": results})
    with console.capture() as capture:
        console.print(terminal(table, narrow=True))
    js = results.metrics["js_div_bits"]
    assert f"{js.low:.3f}–{js.high:.3f}" in capture.get()
    assert "…" not in capture.get()
