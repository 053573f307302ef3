"""The table and the figure that docs/extend/table_or_figure.md shows are right: they are made from runs in small."""

from pathlib import Path

import pytest
from extend_page import module_of
from report_runs import Make, report

from lalm_ambig.reporting.drawing.canvas import save


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: Make) -> None:
    shown = module_of("table_or_figure.md", tmp_path, monkeypatch)
    (sheet,) = shown.sheets(report(make_run("one")))
    assert {row.names[0] for row in sheet.rows} == {"CREMA-D"}
    assert {tuple(cell.written() for cell in row.cells) for row in sheet.rows} == {("48", "8")}


def test_the_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_run: Make) -> None:
    shown = module_of("table_or_figure.md", tmp_path, monkeypatch, block=1)
    (drawing,) = shown.drawings(report(make_run("one")))
    assert "48 items" in drawing.caption and len(drawing.figure.axes[0].patches) >= 2
    assert save(drawing, tmp_path).is_file()
