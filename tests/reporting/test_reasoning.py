"""Side-by-side responses: which items, and what is shown of them."""

from dataclasses import replace

import pytest
from report_runs import Make, about, answers, keep, report

from lalm_ambig.core.errors import InputError
from lalm_ambig.reporting.reading.median_items import median_items
from lalm_ambig.reporting.tables import sheets
from lalm_ambig.tabular.writers import latex


def test_an_item_of_each_level_is_picked_by_the_votes_alone() -> None:
    good, bad = answers("crema_d", 0.9), answers("crema_d", 0.0, seed=4)
    assert median_items([good]) == median_items([bad])
    assert [level for _, level in median_items([good])] == ["high", "medium", "low"]


def test_each_model_has_its_response_and_distribution_beside_peoples(make_run: Make) -> None:
    run = make_run("run", 0.7)
    (sheet,) = sheets("b14", report(run, items=("i7",)))
    answer = next(p for p in answers("crema_d", 0.7, seed=3) if p.id == "i7")
    people, _, trained = sheet.rows
    assert "item i7" in sheet.title
    assert tuple(cell.value for cell in people.cells[:4]) == pytest.approx(answer.label_dist)
    assert trained.names == ("run", "<think>because of 7</think><answer>")
    assert tuple(cell.value for cell in trained.cells[:4]) == answer.predicted_dist
    assert r"p{.6\linewidth}" in latex(sheet)


def test_a_response_that_could_not_be_read_says_so(make_run: Make) -> None:
    run = make_run("run", readout="verbalised")
    rows = [
        replace(p, predicted_dist=(0.25,) * 4, unparsed="no object", response="It is sad.")
        for p in answers("crema_d", 0.7)
    ]
    keep(
        run / "evaluation/trained",
        rows,
        "crema_d",
        about("crema_d", readout="verbalised", policy="tiny, run"),
    )
    line = sheets("b14", report(run))[0].rows[-1]
    assert line.names == ("run", "It is sad.")
    assert line.notes == ("could not be read (no object): counted as uniform",)


def test_an_unknown_item_is_one_line_and_silent_policies_have_no_sheet(make_run: Make) -> None:
    run = make_run("run")
    with pytest.raises(InputError, match="--item: no item 'nosuch' among the predictions"):
        sheets("b14", report(run, items=("i1", "nosuch")))
    for row in ("base", "trained"):
        rows = [replace(p, response="<answer>") for p in answers("crema_d", 0.7, seed=len(row))]
        keep(run / "evaluation" / row, rows, "crema_d", about("crema_d"))
    assert sheets("b14", report(run)) == []
