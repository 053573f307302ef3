"""Class mass, form and length of responses: means over items, and the table beside the scores."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Reading
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction, from_reading, read_predictions, write_predictions
from lalm_ambig.evaluation.responses import responses_of, responses_table
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.runs.checkpoints.selection import Selection, Validation, selection_responses
from lalm_ambig.tabular.writers import terminal

TWO = [Item("a", (1.0, 3.0)), Item("b", (2.0, 0.0))]


@pytest.fixture
def written(predictions: list[Prediction]) -> list[Prediction]:
    """The predictions, a quarter of them well-formed, of 1 to 60 tokens."""
    return [replace(p, well_formed=float(n % 4 == 0), tokens=n + 1.0) for n, p in enumerate(predictions)]


@pytest.fixture
def results(written: list[Prediction], categories: CategorySet, about: About) -> Results:
    return evaluate_predictions(written, categories, about=about)


def test_a_readings_measures_become_the_predictions() -> None:
    dist = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    mass, formed, tokens = torch.tensor([0.5, 0.25]), torch.tensor([0.0, 1.0]), torch.tensor([7.0, 9.5])
    reading = Reading(dist, mass, ("x", "y"), (True, False), None, formed, tokens)
    found = from_reading(TWO, reading)
    assert [(p.class_mass, p.well_formed, p.tokens) for p in found] == [(0.5, 0.0, 7.0), (0.25, 1.0, 9.5)]
    assert list(reading.measures) == ["class_mass", "well_formed", "tokens"]
    unread = replace(reading, class_mass=None, unparsed=(None, "no object"))
    assert {name: rows.tolist() for name, rows in unread.measures.items()} == {
        "well_formed": [0, 1],
        "tokens": [7, 9.5],
        "parsed": [1, 0],
    }


def test_results_have_their_means_over_items(results: Results) -> None:
    assert results.well_formed == pytest.approx(15 / 60)
    assert results.tokens == pytest.approx(30.5)
    assert results.class_mass == pytest.approx(0.5 + 29.5 / 200)


def test_files_hold_them_and_older_files_are_read_without(
    tmp_path: Path, written: list[Prediction], results: Results
) -> None:
    path = write_predictions(tmp_path / "predictions.jsonl", written)
    assert read_predictions(path) == written
    old = [asdict(p) for p in written]
    for row in old:
        del row["well_formed"], row["tokens"]
    path.write_text("\n".join(map(json.dumps, old)))
    assert {(p.well_formed, p.tokens) for p in read_predictions(path)} == {(None, None)}
    metrics = write_results(tmp_path / "metrics.json", results)
    assert read_results(metrics) == results
    plain = json.loads(metrics.read_text())
    del plain["well_formed"], plain["tokens"]
    metrics.write_text(json.dumps(plain))
    assert (read_results(metrics).well_formed, read_results(metrics).tokens) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("well_formed", 1.5, "'well_formed' must be a number in [0, 1] or null, got 1.5"),
        ("well_formed", True, "'well_formed' must be a number in [0, 1] or null, got True"),
        ("tokens", -1, "'tokens' must be a number >= 0 or null, got -1"),
        ("tokens", "many", "'tokens' must be a number >= 0 or null, got 'many'"),
    ],
)
def test_what_cannot_be_is_named(
    tmp_path: Path, written: list[Prediction], field: str, value: object, message: str
) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({**asdict(written[0]), field: value}))
    with pytest.raises(InputError, match=re.escape(message)):
        read_predictions(tmp_path / "p.jsonl")


def test_the_table_has_policies_with_what_is_known_of_them(results: Results) -> None:
    direct = replace(results, class_mass=7.8e-6, well_formed=None, tokens=None)
    baseline = replace(direct, class_mass=None)
    table = responses_of({"prior": baseline, "zero-shot": direct, "trained": results})
    assert table is not None
    assert table.head == ("responses", "class mass", "well formed", "tokens")
    assert [[*row.names, *(cell.written() for cell in row.cells)] for row in table.rows] == [
        ["zero-shot", "7.8e-06", "–", "–"],
        ["trained", "64.7%", "25.0%", "30.5"],
    ]
    assert [line.partition(":")[0] for line in table.caption] == ["Class mass", "Well formed", "Tokens"]
    only = responses_of({"zero-shot": direct})
    assert only is not None and only.head == ("responses", "class mass")
    assert len(only.caption) == 1
    assert responses_of({"prior": baseline}) is None
    zero = responses_table({"x": {"class_mass": 0.0, "well_formed": 0.001}}, head="x")
    assert zero is not None and [cell.written() for cell in zero.rows[0].cells] == ["0.0%", "0.1%"]


def test_a_row_that_is_no_test_is_marked_there_too(results: Results) -> None:
    about = replace(results.about, trained_items=Overlap(60, 0, 60, ("r",)))
    table = responses_of({"trained": replace(results, about=about)})
    assert table is not None and table.rows[0].names == ("trained (60 of 60 items trained on)",)


def test_the_table_fits_a_terminal_of_eighty_columns(results: Results) -> None:
    console = Console(width=80)
    table = responses_of({"trained on something with a long name, mean of 16 samples": results})
    assert table is not None
    with console.capture() as capture:
        console.print(terminal(table))
    assert "…" not in capture.get() and max(map(len, capture.get().splitlines())) <= 80


def test_the_validation_has_its_own_rows() -> None:
    start = Validation(0, 40, {"js_div_bits": 0.4, "class_mass": 0.006, "well_formed": 0.02, "tokens": 61.0})
    chosen = Validation(
        12, 40, {"js_div_bits": 0.2, "class_mass": 0.256, "well_formed": 0.78, "tokens": 33.25}
    )
    selection = Selection("generated/js_div_bits", 40, 84, None, {}, start, chosen, 7)
    table = selection_responses(selection, before="base")
    assert table is not None
    assert table.head == ("validation", "class mass", "well formed", "tokens")
    assert [[*row.names, *(cell.written() for cell in row.cells)] for row in table.rows] == [
        ["base", "0.6%", "2.0%", "61.0"],
        ["chosen", "25.6%", "78.0%", "33.2"],
    ]
    alone = selection_responses(replace(selection, start=None), before="base")
    assert alone is not None and [row.names for row in alone.rows] == [("chosen",)]
    words = Validation(12, 40, {"js_div_bits": 0.2, "parsed": 0.5})
    assert selection_responses(replace(selection, start=None, chosen=words), before="base") is None
