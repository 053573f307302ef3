"""Predictions that could not be read, from a batch to the table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Reading
from lalm_ambig.evaluation.predictions import Prediction, from_reading, read_predictions, write_predictions
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.evaluation.table import main_table

CLASSES = CategorySet(("entailment", "neutral", "contradiction"))
ABOUT = About("chaosnli", "test", "verbalised", "direct", "somebody")


def predictions() -> list[Prediction]:
    """Twelve items; a third of the responses cannot be read."""
    rows = []
    for n in range(12):
        dist = (1 / 3, 1 / 3, 1 / 3) if n % 3 == 0 else (0.2, 0.3, 0.5)
        reason = None if n % 3 else ("no object" if n else "negative")
        votes = (60.0, 30.0, 10.0) if n % 2 else (0.0, 0.0, 100.0)
        label = tuple(vote / 100 for vote in votes)
        rows.append(Prediction(f"i{n}", "test", None, votes, label, dist, None, "text", False, reason))
    return rows


def results(readout: str = "verbalised") -> Results:
    about = About("chaosnli", "test", readout, "direct", "somebody")
    return evaluate_predictions(predictions(), CLASSES, about=about)


def test_a_batch_becomes_predictions_with_their_reasons() -> None:
    items = [Item("a", (1.0, 0.0, 0.0)), Item("b", (0.0, 1.0, 0.0))]
    dist = torch.tensor([[0.5, 0.5, 0.0], [1 / 3] * 3])
    found = from_reading(items, Reading(dist, None, ("x", "y"), (False, False), (None, "all zero")))
    assert [p.unparsed for p in found] == [None, "all zero"]
    assert [p.class_mass for p in found] == [None, None]
    assert [p.response for p in found] == ["x", "y"]


def test_results_count_what_could_be_read_and_why_not() -> None:
    found = results()
    assert found.parse_rate == pytest.approx(8 / 12)
    assert found.unparsed == {"no object": 3, "negative": 1}
    assert list(found.unparsed) == ["no object", "negative"]
    (note,) = (note for note in found.notes if "could not be read" in note)
    assert "4 of 12 responses could not be read (no object 3, negative 1)" in note
    assert found.metrics["accuracy"].value == pytest.approx(4 / 12), "items 2, 4, 8, 10: read, and right"
    assert found.by_ambiguity["low"].parse_rate == pytest.approx(4 / 6)
    assert found.by_ambiguity["medium"].parse_rate is None, "no item"


def test_a_break_down_marks_its_own_items_as_unread() -> None:
    """Two items of each level, read rightly by their third class; only the last of all could not be read."""
    torn, sure = (0.1, 0.4, 0.5), (0.0, 0.0, 1.0)
    rows = [
        Prediction(f"i{n}", "test", None, votes, votes, (0.0, 0.4, 0.6), None, "text", False)
        for n, votes in enumerate([torn, sure, torn, sure])
    ]
    rows[3] = replace(rows[3], predicted_dist=(1 / 3,) * 3, unparsed="no object")
    about = replace(ABOUT, table_metrics=("accuracy",))
    levels = evaluate_predictions(rows, CLASSES, about=about).by_ambiguity
    assert {level: part.parse_rate for level, part in levels.items()} == {
        "low": 0.5,
        "medium": None,
        "high": 1.0,
    }
    assert levels["low"].metrics["accuracy"].value == 0.5
    assert levels["high"].metrics["accuracy"].value == 1.0


def test_they_survive_on_disk_and_older_files_are_read(tmp_path: Path) -> None:
    found = results()
    assert read_results(write_results(tmp_path / "metrics.json", found)) == found
    rows = read_predictions(write_predictions(tmp_path / "predictions.jsonl", predictions()))
    assert rows == predictions()
    old = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    for row in old:
        del row["unparsed"]
    (tmp_path / "old.jsonl").write_text("\n".join(map(json.dumps, old)))
    assert {p.unparsed for p in read_predictions(tmp_path / "old.jsonl")} == {None}
    plain = json.loads((tmp_path / "metrics.json").read_text())
    del plain["parse_rate"], plain["unparsed"]
    for part in plain["by_ambiguity"].values():
        del part["parse_rate"]
    (tmp_path / "old.json").write_text(json.dumps(plain))
    older = read_results(tmp_path / "old.json")
    assert (older.parse_rate, older.unparsed, older.by_ambiguity["low"].parse_rate) == (None, {}, None)
    old[0]["unparsed"] = 3
    (tmp_path / "wrong.jsonl").write_text(json.dumps(old[0]))
    with pytest.raises(InputError, match=r"wrong.jsonl:1: 'unparsed' must be a string or null, got 3"):
        read_predictions(tmp_path / "wrong.jsonl")


def test_the_table_has_the_parse_rate_beside_the_metrics() -> None:
    prior = evaluate_predictions(
        [replace(p, unparsed=None) for p in predictions()],
        CLASSES,
        about=replace(ABOUT, readout="none"),
    )
    grid = main_table({"verbalised": results(), "prior": prior})
    assert grid.head[-1] == "parsed"
    assert [row.cells[-1].written() for row in grid.rows] == ["66.7%", "–"]
    assert "parsed" not in main_table({"prior": prior}).head
