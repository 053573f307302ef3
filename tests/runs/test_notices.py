"""A run that has come to little says so, in one line each; how its checkpoint was chosen is kept."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lalm_ambig.core.distributions import deviation_between_items, js_divergence
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.methods.spread import Spread
from lalm_ambig.runs.checkpoints.selection import (
    Selection,
    Validation,
    choice_line,
    prior_metrics,
    read_selection,
    selection_table,
    write_selection,
)
from lalm_ambig.runs.notices import answers_notices, selection_notices

GOOD = Validation(12, 40, {"js_div_bits": 0.2, "bc": 0.8, "predicted_sd": 0.2, "label_sd": 0.23})
CHOSEN = Selection(
    monitor="direct/js_div_bits",
    items=40,
    of=84,
    ids=("a", "b"),
    prior={"js_div_bits": 0.33, "bc": 0.7},
    start=Validation(0, 40, {"js_div_bits": 0.4, "bc": math.nan}),
    chosen=GOOD,
    validations=7,
)


def with_metrics(step: int = 12, **metrics: float) -> Selection:
    return replace(CHOSEN, chosen=replace(GOOD, step=step, metrics={**GOOD.metrics, **metrics}))


def test_a_run_that_learnt_something_is_told_nothing() -> None:
    assert selection_notices(CHOSEN) == []


def test_no_epoch_better_than_the_start_is_said() -> None:
    found = selection_notices(with_metrics(step=0, js_div_bits=0.312))
    assert found == [
        "no epoch beat the start on validation (JS (base 2) 0.312 before training): the run's weights are those that "
        "it started from"
    ]
    alone = replace(with_metrics(step=0), validations=1)  # nothing came after it
    assert selection_notices(alone) == []


@pytest.mark.parametrize("value", [0.33, 0.5, math.nan])
def test_a_checkpoint_that_does_not_beat_the_prior_is_named(value: float) -> None:
    expected = f"does not beat the prior on validation (JS (base 2) {value:.3f}, prior 0.330)"
    assert [line for line in selection_notices(with_metrics(js_div_bits=value)) if expected in line]


def test_answers_that_hardly_differ_are_named_with_their_split() -> None:
    votes = [(1.0, 0.0), (0.0, 1.0)]
    answers = [
        [Prediction(str(n), "test", None, v, v, (0.5 + far * (v[0] - v[1]), 0.5 - far * (v[0] - v[1])))]
        for far in (0.19, 0.21)
        for n, v in enumerate(votes)
    ]
    hardly, enough = answers[0] + answers[1], answers[2] + answers[3]
    assert answers_notices("test", hardly) == [
        "test: answers hardly differ between items (sd 0.19, people's 0.50)"
    ]
    assert answers_notices("validation", hardly)[0].startswith("validation: answers hardly differ")
    assert answers_notices("test", enough) == []


def test_the_deviation_between_items_is_the_root_of_the_mean_variance() -> None:
    rows = torch.tensor([[0.2, 0.8, 0.0], [0.4, 0.4, 0.2]])
    assert float(deviation_between_items(rows)) == pytest.approx(math.sqrt((0.01 + 0.04 + 0.01) / 3))
    assert float(deviation_between_items(rows[:1])) == 0
    spread = Spread()
    spread.add(rows[:1], rows[1:])
    spread.add(rows[1:], rows[1:])
    found = spread.pooled()
    assert spread.items == 2
    assert float(found["predicted_sd"]) == pytest.approx(0, abs=1e-6)
    assert float(found["label_sd"]) == pytest.approx(math.sqrt(0.02), abs=1e-6)
    assert spread.pooled() == {}
    assert spread.items == 0


def test_the_prior_on_validation_is_the_mean_of_training() -> None:
    train = [Item("a", (3.0, 1.0)), Item("b", (1.0, 1.0))]
    items = [Item("c", (1.0, 0.0), split="validation"), Item("d", (1.0, 4.0), split="validation")]
    target = torch.tensor([[1.0, 0.0], [0.2, 0.8]], dtype=torch.float64)
    mean = torch.tensor([[0.625, 0.375]] * 2, dtype=torch.float64)
    expected = float(js_divergence(target, mean).mean())
    assert prior_metrics(items, train=train)["js_div_bits"] == pytest.approx(expected)


def test_what_was_chosen_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_selection(tmp_path / "selection.json") is None
    for selection in (replace(CHOSEN, start=None), replace(CHOSEN, ids=None)):
        write_selection(tmp_path / "selection.json", selection)
        found = read_selection(tmp_path / "selection.json")
        assert str(found) == str(selection)  # NaN is not equal to itself


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"start": 3}', '{"start": null, "ids": null}'])
def test_a_broken_record_of_a_choice_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "selection.json").write_text(content)
    with pytest.raises(InputError, match=r"selection\.json: not the record of how weights were chosen"):
        read_selection(tmp_path / "selection.json")


def test_the_chosen_checkpoint_stands_beside_start_and_prior() -> None:
    grid = selection_table(CHOSEN, before="base", columns=("bc", "js_div_bits"))
    assert [[*row.names, *(cell.written() for cell in row.cells)] for row in grid.rows] == [
        ["prior", "0.700", "0.330"],
        ["base", "–", "0.400"],
        ["chosen (step 12)", "0.800", "0.200"],
    ]
    assert choice_line(CHOSEN).startswith(
        "Checkpoint: step 12, of 7 validations the lowest direct/js_div_bits, on a sample of 40 of 84 items"
    )
    assert "a sample of 40 of 84 items" in grid.caption[0] and "7 validations" in grid.caption[0]
    words = replace(
        with_metrics(parsed=0.95), start=Validation(0, 40, {"js_div_bits": 0.15, "bc": 0.7, "parsed": 0.0})
    )
    grid = selection_table(words, before="base", columns=("js_div_bits",))
    assert [[cell.written() for cell in row.cells] for row in grid.rows] == [
        ["0.330", "–"],
        ["0.150", "0.0%"],
        ["0.200", "95.0%"],
    ]
    assert not any(cell.rank for row in grid.rows for cell in row.cells)
    for text in (grid.caption[0], choice_line(words)):
        assert "; an answer that cannot be read counts as worse than any other" in text
    assert "cannot be read" not in choice_line(CHOSEN)
    table = selection_table(replace(CHOSEN, ids=None), before="base", columns=("bc",))
    assert "all 84 items" in table.caption[0]
