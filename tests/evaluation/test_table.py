"""The comparison table: what it shows, what is bold, and what it refuses to put side by side."""

from dataclasses import replace

import pytest
from rich.console import Console

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.table import ambiguity_table, check_comparable, main_table
from lalm_ambig.tabular.writers import plain_markdown, terminal


@pytest.fixture(scope="module")
def results(predictions: list[Prediction], categories: CategorySet, about: About) -> Results:
    return evaluate_predictions(predictions, categories, about=about)


@pytest.fixture(scope="module")
def perfect(predictions: list[Prediction], categories: CategorySet, about: About) -> Results:
    better = [replace(p, predicted_dist=p.label_dist) for p in predictions]
    about = replace(about, readout="none", reasoning="none", policy="people")
    return evaluate_predictions(better, categories, about=about)


def test_a_bound_is_shown_and_never_the_best(results: Results, perfect: Results) -> None:
    rows = {"one": results, "panel": perfect}
    for table in (main_table, ambiguity_table):
        marked = {
            line.split("|")[1].strip(): "**" in line for line in plain_markdown(table(rows)).splitlines()[2:4]
        }
        free = {
            line.split("|")[1].strip(): "**" in line
            for line in plain_markdown(table(rows, bounds=("panel",))).splitlines()[2:4]
        }
        assert list(marked.values()) == [False, True]
        assert list(free.values()) == [True, False]


def test_the_markdown_has_a_row_a_method_and_the_best_in_bold(results: Results, perfect: Results) -> None:
    lines = plain_markdown(main_table({"tiny": results, "per|fect": perfect})).splitlines()
    assert lines[0] == "| method | JS (base 2) ↓ | BC ↑ | R² (item) ↑ | Brier (mean) ↓ | Acc. ↑ |"
    js = results.metrics["js_div_bits"]
    assert f"| tiny | {js.value:.3f} ({js.low:.3f}–{js.high:.3f}) |" in lines[2]
    assert "**" not in lines[2]
    assert lines[3].startswith("| per\\|fect | **0.000 (0.000–0.000)** | **1.000 (1.000–1.000)** |")
    assert lines[3].count("**") == 10


def test_the_caption_says_what_was_measured(results: Results, perfect: Results) -> None:
    text = plain_markdown(main_table({"tiny": results, "people": perfect}))
    assert (
        "demo, test split, 60 items; logits readout, generated reasoning; "
        "95% intervals over 4 speakers." in text
    )
    assert "too narrow" not in text


def test_reasoning_modes_are_named_with_their_rows_where_they_differ(results: Results) -> None:
    curated = replace(results, about=replace(results.about, reasoning="curated"))
    text = plain_markdown(main_table({"a": results, "b": curated}))
    assert "logits readout, generated reasoning (a); logits readout, curated reasoning (b)" in text


def test_the_rich_table_shows_the_same_cells(results: Results, perfect: Results) -> None:
    console = Console(width=160, record=True, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(terminal(main_table({"tiny": results, "people": perfect}), narrow=True))
    text = capture.get()
    assert "\x1b[1m0.000–0.000\x1b[0m" in text
    assert "60 items" in text and "people" in text


def test_the_rich_table_fits_a_terminal_of_eighty_columns(results: Results, perfect: Results) -> None:
    console = Console(width=80, record=True)
    with console.capture() as capture:
        console.print(terminal(main_table({"trained": results, "people": perfect}), narrow=True))
    assert "trained" in capture.get() and "…" not in capture.get()


def test_a_value_without_interval_stands_alone_and_an_undefined_one_is_a_dash(results: Results) -> None:
    undefined = {
        **results.metrics,
        "bc": Interval(float("nan"), None, None),
        "accuracy": Interval(0.5, None, None),
    }
    text = plain_markdown(main_table({"one": replace(results, metrics=undefined)}))
    assert "| – |" in text
    assert "| 0.500 |" in text
    assert "**" not in text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "corpus",
            "iemocap",
            "'a' and 'b' differ in corpus: demo and iemocap. Only results of one readout on",
        ),
        ("split", "validation", "differ in split: test and validation"),
        ("readout", "verbalised", "differ in readout: logits and verbalised"),
        ("categories", ("x", "y", "z"), "differ in classes: anger, neutral, sadness and x, y, z"),
        ("items", 59, "differ in number of items: 60 and 59"),
        ("items_digest", "0", "differ in items or their votes"),
        ("clusters", "items", "differ in what intervals are over: speakers and items"),
    ],
)
def test_results_that_may_not_be_compared_are_refused(
    results: Results, field: str, value: object, message: str
) -> None:
    changed = {field: value}
    if field in ("corpus", "split", "readout"):
        other = replace(results, about=replace(results.about, **changed))  # type: ignore[arg-type]
    else:
        other = replace(results, **changed)  # type: ignore[arg-type]
    for render in (check_comparable, main_table, ambiguity_table):
        with pytest.raises(InputError, match=message):
            render({"a": results, "b": other})


def test_a_readout_that_differs_is_found_behind_a_baseline(results: Results, perfect: Results) -> None:
    other = replace(results, about=replace(results.about, readout="verbalised"))
    with pytest.raises(InputError, match="'b' and 'c' differ in readout"):
        check_comparable({"a": perfect, "b": results, "c": other})


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(InputError, match="there is no result to show"):
        plain_markdown(main_table({}))
