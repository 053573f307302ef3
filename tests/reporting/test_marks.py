"""Results on items that were trained on: marked in every table, figure and file, never ranked, never averaged."""

import csv
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import yaml
from report_runs import SFT, Make, about, answers, keep, named, report, table

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.table import ambiguity_table, main_table
from lalm_ambig.report import main
from lalm_ambig.reporting.drawing.draw import draw

LEAKY = Overlap(12, 0, 48, ("sft",))
MARK = "12 of 48 items trained on"
SENTENCE = "NOT A TEST: run sft trained on 12 of the 48 items, or chose the checkpoint by them."


def leak(run: Path, weight: float = 0.99, *, overlap: Overlap = LEAKY, fold: int | None = None) -> Path:
    """The run again with a trained row on items that were trained on, better than any other."""
    rows = answers("crema_d", weight, seed=3, fold=fold)
    described = about("crema_d", policy=f"tiny, {run.name}", trained_items=overlap)
    keep(run / "evaluation/trained", rows, "crema_d", described)
    return run


def test_the_mark_is_in_metrics_json_and_in_the_tables_of_fit_and_evaluate(make_run: Make) -> None:
    run = leak(make_run("r"))
    found = read_results(run / "evaluation/trained/metrics.json")
    assert found.about.trained_items == LEAKY
    assert found.notes[0] == SENTENCE.removesuffix(".")
    rows = {"base": read_results(run / "evaluation/base/metrics.json"), "r": found}
    main_grid, levels = main_table(rows), ambiguity_table(rows)
    for grid, name in ((main_grid, 0), (levels, 1)):
        assert f"r ({MARK})" in {row.names[name] for row in grid.rows}
        assert not any(c.rank for row in grid.rows for c in row.cells if row.names[name].startswith("r ("))
    assert f"r: {SENTENCE}" in main_grid.caption
    clean = main_table(
        {"base": rows["base"], "other": read_results(make_run("o", 0.9) / "evaluation/trained/metrics.json")}
    )
    assert any(cell.rank == 1 for cell in clean.rows[1].cells)


@pytest.mark.parametrize(
    ("name", "key"), [("all", "r (12 of 48 items trained on)"), ("a2", "SFT"), ("a3", "✓")]
)
def test_it_is_a_footnote_of_every_table_and_is_not_ranked(make_run: Make, name: str, key: str) -> None:
    sheet = table(
        name, leak(make_run("r")), make_run("other", 0.5, model={**SFT, "init_args": {"reasoning": False}})
    )
    [line] = [line for line in sheet.rows if SENTENCE.removesuffix(".") in line.notes]
    assert key in line.names or sheet.name_heads[0] == "row"
    assert all(cell.rank == 0 for cell in line.cells)
    assert any(SENTENCE in text for text in sheet.caption)


def test_it_is_in_every_file_of_a_report(make_run: Make, tmp_path: Path) -> None:
    run, out = leak(make_run("r", 0.7)), tmp_path / "out"
    words = ["--table", "all", "a2", "b14", "--figure", "entropy", "reliability", "--out", str(out)]
    assert main([str(run), *words]) == 0
    for path in (
        *out.glob("all_*"),
        *out.glob("a2.*"),
        *out.glob("b14*.md"),
        *out.glob("*.tex"),
        out / "report.html",
    ):
        if "shala" not in path.name and "lalm" not in path.name:
            assert "NOT A TEST" in path.read_text(), path.name
    with (out / "all_crema_d.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [MARK in row["row"] and "NOT A TEST" in row["notes"] for row in rows] == [False, False, True]
    page = (out / "report.html").read_text()
    assert page.count(SENTENCE) >= 3  # what was measured, and both figures' captions
    for figure in out.glob("*.svg"):
        assert "<!-- NOT A TEST" in figure.read_text() or MARK in figure.read_text()


def test_a_figure_says_it_in_the_picture_and_below(make_run: Make, tmp_path: Path) -> None:
    found = report(leak(make_run("r")))
    shown = draw(found, ["entropy", "reliability", "b_levels"], out=tmp_path)
    assert all(SENTENCE in one.caption for one in shown)
    clean = draw(report(make_run("c")), ["entropy"], out=tmp_path / "clean")
    assert "NOT A TEST" not in clean[0].caption


def test_folds_on_trained_items_are_lines_of_their_own_and_never_averaged(make_run: Make) -> None:
    runs = [make_run(f"sft-fold{fold}", 0.5 + fold / 10, fold=fold) for fold in range(3)]
    leak(runs[1], fold=1)
    [group] = report(*runs).groups
    lines = {line.label: line for line in group.lines}
    assert lines["sft"].folds == (0, 2)
    assert lines[f"sft-fold1 ({MARK})"].folds == (1,)
    values = [read_results(runs[n] / "evaluation/trained/metrics.json").metrics["bc"].value for n in (0, 2)]
    found, _ = lines["sft"].metric("bc")
    assert found is not None and found.value == pytest.approx(mean(values))
    assert f"sft-fold1 ({MARK}): {SENTENCE}" in group.caption()
    every = [leak(run, fold=fold) for fold, run in enumerate(runs)]
    assert all(len(line.rows) == 1 for line in report(*every).groups[0].lines if line.method == "sft")


def test_what_is_not_known_is_said_and_stays_ranked(make_run: Make) -> None:
    unknown = Overlap(0, 0, 48, unchecked=("nothing is known of what x was trained on",))
    sheet = table("all", leak(make_run("r"), overlap=unknown), make_run("other", 0.4))
    line = named(sheet)["r", "SFT"]
    assert line.notes == ("nothing is known of what x was trained on",)
    assert any(cell.rank == 1 for cell in line.cells)


def started(run: Path, start: Path) -> Path:
    content = yaml.safe_load((run / "config.yaml").read_text())
    content["model"]["init_args"]["start"] = str(start)
    (run / "config.yaml").write_text(yaml.safe_dump(content))
    return run


def test_an_older_run_that_went_on_from_another_is_not_taken_on_trust(make_run: Make, tmp_path: Path) -> None:
    run = started(make_run("r"), tmp_path / "gone")
    assert main([str(run), "--table", "all", "--figure", "none", "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/all_crema_d.md").read_text()
    assert "whether r was trained on these items cannot be checked" in text


def test_a_report_refuses_what_an_older_version_let_through(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("r")

    def found(*_: Any) -> Overlap:
        return LEAKY

    monkeypatch.setattr("lalm_ambig.runs.older_results._overlap", found)
    words = [str(run), "--table", "all", "--figure", "none", "--out", str(tmp_path / "out")]
    with pytest.raises(
        InputError, match=r"run sft trained on 12 of the 48 items, .* Give --allow-trained-items"
    ):
        main(words)
    assert main([*words, "--allow-trained-items"]) == 0
    assert "NOT A TEST" in (tmp_path / "out/all_crema_d.md").read_text()
