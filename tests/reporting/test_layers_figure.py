"""The probe by layer as a figure: a point per layer of the encoder, and the line of the joined ones."""

from pathlib import Path

from report_runs import Make, about, answers, keep, report

from lalm_ambig.reporting.drawing.canvas import Drawing
from lalm_ambig.reporting.drawing.draw import drawings


def drawn(*paths: Path) -> list[Drawing]:
    return list(drawings("layers", report(*paths)))


def probed(make: Make, name: str = "probe", layers: tuple[str, ...] = ("0", "2", "10", "last")) -> Path:
    """A folder as `baseline probe --layers` leaves it."""
    folder = make(name, answers("crema_d", 0.8, seed=len(name)), readout="none")
    for n, layer in enumerate(layers):
        keep(
            folder / f"layer_{layer}",
            answers("crema_d", 0.2 * n),
            "crema_d",
            about("crema_d", readout="none"),
        )
    return folder


def test_a_point_per_layer_in_the_encoders_order_and_a_line_for_the_joined_ones(make_evaluated: Make) -> None:
    (drawing,) = drawn(probed(make_evaluated))
    (ax,) = drawing.figure.axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "2", "10", "last"]
    assert drawing.tests is not None
    values = [row.cells[0].value for row in drawing.tests.rows]
    points = [line.get_ydata()[0] for line in ax.lines]  # type: ignore[index]
    assert points[:4] == values[:4] and points[4] == values[4]
    assert [row.names for row in drawing.tests.rows] == [("0",), ("2",), ("10",), ("last",), ("joined",)]
    assert len([c for c in ax.collections if len(c.get_paths()) == 1]) >= 4  # an interval each
    assert "48 items" in drawing.title and "95 % interval" in drawing.caption


def test_two_probes_of_a_corpus_have_files_of_their_own(make_evaluated: Make) -> None:
    rows = [probed(make_evaluated, name) for name in ("probe", "another")]
    assert [drawing.stem for drawing in drawn(*rows)] == ["layers_crema_d", "layers_crema_d_2"]


def test_one_layer_is_no_figure(make_evaluated: Make) -> None:
    assert drawn(probed(make_evaluated, layers=("last",))) == []
    assert drawn(make_evaluated("plain", answers("crema_d", 0.4), readout="none")) == []
