"""What several samples cost: a curve from one evaluation and the folders below it."""

from pathlib import Path

import pytest
from report_runs import Make, about, answers, keep, report

from lalm_ambig.reporting.drawing.canvas import Drawing
from lalm_ambig.reporting.drawing.draw import drawings


def drawn(*paths: Path) -> list[Drawing]:
    return list(drawings("cost", report(*paths)))


def evaluated(make: Make, *, seconds: tuple[float | None, float | None]) -> Path:
    """A folder as `evaluate --samples 1 4` leaves it."""
    folder = make("run", answers("crema_d", 0.4), seconds_an_item=seconds[0])
    four = about("crema_d", samples=4, seconds_an_item=seconds[1])
    keep(folder / "samples_4", answers("crema_d", 0.7), "crema_d", four)
    return folder


def test_points_are_the_results_at_their_times(make_evaluated: Make) -> None:
    (drawing,) = drawn(evaluated(make_evaluated, seconds=(0.5, 1.5)))
    (ax,) = drawing.figure.axes
    (line,) = ax.lines
    assert drawing.tests is not None
    values = [entries[2].value for entries in (row.cells for row in drawing.tests.rows)]
    assert list(line.get_xdata()) == [0.5, 1.5] and list(line.get_ydata()) == values
    assert [text.get_text() for text in ax.texts] == ["greedy", "4"]
    assert len(ax.collections) == 2  # an interval each
    assert [row.cells[0].value for row in drawing.tests.rows] == [1, 4]
    assert ax.get_xlabel().endswith("(s)") and "48 items" in drawing.title


def test_without_times_the_axis_is_the_number_of_samples(make_evaluated: Make) -> None:
    (drawing,) = drawn(evaluated(make_evaluated, seconds=(0.5, None)))
    (ax,) = drawing.figure.axes
    assert list(ax.lines[0].get_xdata()) == [1, 4]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "4"]
    assert "Not every row has its time recorded" in drawing.caption


@pytest.mark.parametrize("readout", ["logits", "none"])
def test_one_number_of_samples_is_no_curve(make_evaluated: Make, readout: str) -> None:
    assert drawn(make_evaluated("run", answers("crema_d", 0.4), readout=readout)) == []
