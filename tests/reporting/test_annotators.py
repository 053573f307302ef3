"""Scores against fewer annotators: what is drawn of the votes, and the floor at each number."""

from dataclasses import replace

import pytest
from report_runs import Make, answers, report

from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.reporting.drawing.canvas import Drawing
from lalm_ambig.reporting.drawing.draw import drawings
from lalm_ambig.reporting.drawing.item_groups import line_answers


def with_votes(*votes: tuple[float, ...]) -> list[Prediction]:
    """The answers of a corpus, whose items have those votes by turns."""
    rows = answers("crema_d", 0.5)
    given = [tuple(map(float, votes[n % len(votes)])) for n in range(len(rows))]
    return [
        replace(row, votes=v, label_dist=tuple(x / sum(v) for x in v))
        for row, v in zip(rows, given, strict=True)
    ]


def drawn(make: Make, rows: list[Prediction]) -> list[Drawing]:
    return list(drawings("annotators", report(make("run", rows))))


def test_with_all_votes_it_is_the_score_and_fewer_votes_never_improve_it(make_evaluated: Make) -> None:
    rows = with_votes((4, 3, 1, 0), (0, 0, 8, 0), (2, 2, 3, 1))
    (drawing,) = drawn(make_evaluated, rows)
    assert drawing.tests is not None
    table = {row.names[0]: [cell.value or 0.0 for cell in row.cells] for row in drawing.tests.rows}
    (group,) = report(make_evaluated("run", rows)).groups
    found = line_answers(group.lines[0]).seeds[0].scored
    whole = float(js_divergence(found.label_dist, found.predicted_dist).mean())
    assert table["run"][-1] == pytest.approx(whole)
    assert table["run"] == sorted(table["run"], reverse=True)
    assert all(floor < own for floor, own in zip(table["oracle"], table["panel"], strict=True))
    assert [column.key for column in drawing.tests.columns] == ["1", "2", "3", "4", "5", "6", "8"]
    assert "48 items" in drawing.title and "so many annotators on: run " in drawing.caption


def test_one_vote_is_scored_as_a_label(make_evaluated: Make) -> None:
    """Where all agree, one vote is as good as all of them."""
    (drawing,) = drawn(make_evaluated, with_votes((6, 0, 0, 0), (0, 0, 0, 6)))
    assert drawing.tests is not None
    (row,) = (row for row in drawing.tests.rows if row.names == ("run",))
    assert {round(cell.value or 0, 9) for cell in row.cells} == {round(row.cells[0].value or 0, 9)}
    assert "on: run 1." in drawing.caption


def test_items_with_few_votes_are_left_out_and_counted(make_evaluated: Make) -> None:
    rows = with_votes((4, 4, 0, 0))
    rows[7] = replace(rows[7], votes=(1.0, 0.0, 0.0, 0.0), label_dist=(1.0, 0.0, 0.0, 0.0))
    (drawing,) = drawn(make_evaluated, rows)
    assert "1 items with fewer than 8 votes are left out." in drawing.caption and "47 items" in drawing.title


@pytest.mark.parametrize("votes", [(1, 0, 0, 0), (2.5, 1.5, 1, 0)], ids=["single", "shared"])
def test_without_several_whole_votes_there_is_no_figure(
    make_evaluated: Make, votes: tuple[float, ...]
) -> None:
    assert drawn(make_evaluated, with_votes(votes)) == []
