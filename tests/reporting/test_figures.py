"""Figures: what they are drawn from, what they say, and that the files are the same for the same runs."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from report_runs import SFT, Make, about, answers, keep, report
from scipy import stats

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, js_distance
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.reporting.drawing.canvas import Drawing
from lalm_ambig.reporting.drawing.draw import draw, drawings
from lalm_ambig.reporting.figures import figure_names
from lalm_ambig.reporting.figures.learning import read_log
from lalm_ambig.reporting.figures.ternary import DOT

CE_ONLY: dict[str, Any] = {
    "class_path": "lalm_ambig.methods.sft.SFT",
    "init_args": {"objective": {"ce_weight": 1.0, "kl_weight": 0.0}, "reasoning": True},
}


def one(name: str, *paths: Path) -> Drawing:
    (drawing,) = drawings(name, report(*paths))
    return drawing


def levels_of(rows: list[Prediction]) -> list[str]:
    votes = torch.tensor([p.votes for p in rows], dtype=torch.float64)
    return [AMBIGUITY_LEVELS[i] for i in ambiguity_level(votes / votes.sum(-1, keepdim=True)).tolist()]


def distances(rows: list[Prediction], level: str) -> list[float]:
    chosen = [p for p, name in zip(rows, levels_of(rows), strict=True) if name == level]
    if not chosen:
        return []
    target, predicted = (
        torch.tensor([getattr(p, name) for p in chosen], dtype=torch.float64)
        for name in ("label_dist", "predicted_dist")
    )
    return js_distance(target, predicted).tolist()


def test_boxes_are_the_items_of_each_level_and_their_tests_are_scipys(make_run: Make) -> None:
    drawing = one("b_levels", make_run("run", 0.7))
    rows = answers("crema_d", 0.7, seed=len("run"))
    samples = [distances(rows, level) for level in AMBIGUITY_LEVELS]
    assert drawing.title == "CREMA-D by ambiguity level, 48 items"
    ax = drawing.figure.axes[0]
    assert [t.get_text().splitlines()[1] for t in ax.get_xticklabels()] == [f"n = {len(s)}" for s in samples]
    medians = [
        line.get_ydata()[0]
        for line in ax.lines
        if line.get_color() == "black" and line.get_linewidth() == 1.2
    ]
    assert medians[3:] == pytest.approx([np.median(s) for s in samples])
    assert drawing.tests is not None
    found = {line.names[:4]: line.cells for line in drawing.tests.rows}
    kruskal = stats.kruskal(*samples)
    key = ("js_dist_bits", "run", "Kruskal–Wallis", "low vs medium vs high")
    assert (found[key][0].value, found[key][1].value) == pytest.approx((kruskal.statistic, kruskal.pvalue))
    assert f"run, js_dist_bits: H = {kruskal.statistic:.1f}" in drawing.caption
    assert "adjusted by Holm" in drawing.caption


def test_active_labels_end_where_the_classes_do(make_run: Make) -> None:
    drawing = one("b_active_labels", make_run("run", corpus="chaosnli"))
    ticks = drawing.figure.axes[0].get_xticklabels()
    assert [tick.get_text().splitlines()[0] for tick in ticks] == ["1", "2", "3"]


def test_bars_by_class_are_the_break_downs_values(make_run: Make) -> None:
    run = make_run("run", 0.7)
    drawing = one("b_classes", run)
    parts = read_results(run / "evaluation/trained/metrics.json").by_majority
    bars = [p.get_height() for p in drawing.figure.axes[1].patches if isinstance(p, Rectangle)]
    assert bars[4:] == pytest.approx([part.metrics["bc"].value for part in parts.values()])
    assert any(isinstance(c, LineCollection) for c in drawing.figure.axes[1].collections)


def test_f1_of_a_class_counts_what_other_classes_were_called_it(make_run: Make) -> None:
    run = make_run("run", 0.5)
    bars = [p.get_height() for p in one("b_classes", run).figure.axes[3].patches if isinstance(p, Rectangle)]
    rows = answers("crema_d", 0.5, seed=len("run"))
    target, guess = (np.array([getattr(p, n) for p in rows]).argmax(1) for n in ("votes", "predicted_dist"))
    expected = []
    for c in range(4):
        right, called, real = ((target == c) & (guess == c)).sum(), (guess == c).sum(), (target == c).sum()
        expected.append(2 * right / (called + real))
    assert bars[4:] == pytest.approx(expected)


def test_answers_that_could_not_be_read_miss_their_class(make_run: Make) -> None:
    run = make_run("run", 0.5, readout="verbalised")
    rows = [
        replace(p, predicted_dist=(0.25,) * 4, unparsed="no object") for p in answers("crema_d", 0.5, seed=3)
    ]
    description = about("crema_d", readout="verbalised", policy="tiny, run")
    keep(run / "evaluation/trained", rows, "crema_d", description)
    bars = [p.get_height() for p in one("b_classes", run).figure.axes[3].patches if isinstance(p, Rectangle)]
    assert bars[4:] == [0, 0, 0, 0]


def test_lalm_figure_2_needs_a_run_without_kl_and_marks_what_is_missing(make_run: Make) -> None:
    full, without = make_run("full", 0.8, model=SFT), make_run("ce", 0.4, model=CE_ONLY)
    assert list(drawings("a2_kl", report(full))) == []
    both = one("a2_kl", full, without).figure.axes[0]
    assert both.get_title() == "(a) SFT on CREMA-D, 48 items"
    assert [text.get_text() for text in both.texts] == []
    heights = [p.get_height() for p in both.patches if isinstance(p, Rectangle)]
    for folder, bar in ((without, heights[0]), (full, heights[4])):
        assert bar == read_results(folder / "evaluation/trained/metrics.json").metrics["js_div_bits"].value
    alone = one("a2_kl", without).figure.axes[0]
    assert [text.get_text() for text in alone.texts] == ["–"] * 4


def test_only_three_classes_make_a_triangle(make_run: Make) -> None:
    assert list(drawings("ternary", report(make_run("six")))) == []
    axes = one("ternary", make_run("three", corpus="chaosnli")).figure.axes
    assert [ax.get_title() for ax in axes] == ["people", "base", "three"]
    areas = [float(area) for c in axes[0].collections for area in c.get_sizes()]  # type: ignore[attr-defined]
    assert sum(areas) == pytest.approx(48 * DOT) and len(areas) < 48, (
        "equal votes are one dot of their common area"
    )


def test_a_correlation_that_is_not_defined_is_no_number(make_run: Make) -> None:
    run = make_run("flat", 0.7)
    rows = [replace(p, predicted_dist=(0.25,) * 4) for p in answers("crema_d", 0.7)]
    keep(run / "evaluation/trained", rows, "crema_d", about("crema_d", policy="tiny, flat"))
    titles = [ax.get_title() for ax in one("entropy", run).figure.axes]
    assert titles[0].startswith("base\nr = ") and titles[1] == "flat\nr not defined: no variation"


def test_the_reliability_of_a_model_that_answers_as_people_do_is_the_diagonal(make_run: Make) -> None:
    axes = one("reliability", make_run("perfect", 1.0)).figure.axes
    assert axes[1].get_title() == "perfect\nECE 0.000"
    offsets = axes[1].collections[0].get_offsets()
    assert len(offsets) > 2 and np.allclose(offsets[:, 0], offsets[:, 1])  # type: ignore[index,call-overload]


def test_learning_curves_are_what_the_run_logged(make_run: Make) -> None:
    run = make_run("run")
    assert list(drawings("learning", report(run))) == []
    (run / "metrics.csv").write_text("step,train/loss,generated/js_div_bits\n4,2.5,\n9,1.5,\n9,,0.25\n")
    axes = one("learning", run).figure.axes
    assert [list(line.get_xdata()) for line in axes[1].lines] == [[5, 10]]
    assert [list(line.get_ydata()) for line in axes[0].lines] == [[0.25]]


@pytest.mark.parametrize(
    ("validated", "updates", "steps"),
    [
        ((0, 9, 19), 20, [0, 10, 20]),
        ((0, 0, 1), 2, [0, 1, 2]),
        ((0, 3, 6), 6, [0, 4, 6]),  # max_steps ended within an epoch: the last one is after training
        ((0, 9), None, [0, 10]),  # not finished
    ],
    ids=["epochs", "first_step", "end", "unfinished"],
)
def test_validations_are_at_the_number_of_steps_before_them(
    validated: tuple[int, ...], updates: int | None, steps: list[int], tmp_path: Path
) -> None:
    """Lightning numbers steps from 0, and gives the validation before the first one that number, too."""
    rows = [f"{step},,0.5" for step in validated]
    (tmp_path / "metrics.csv").write_text("\n".join(["step,lr,direct/js_div_bits", *rows]))
    if updates is not None:
        (tmp_path / "training.json").write_text(
            f'{{"updates": {updates}, "items": 5, "seconds": 1.0, "processes": 1}}'
        )
    assert [step for step, _ in read_log(tmp_path / "metrics.csv")["direct/js_div_bits"]] == steps


@pytest.mark.parametrize(
    ("text", "message"),
    [("epoch\n1\n", "it has no column 'step'"), ("step,a\n1,x\n", "metrics.csv:2: not a number")],
)
def test_a_broken_log_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_log(tmp_path / "metrics.csv")


def test_every_figure_is_drawn_with_the_number_of_items_and_files_repeat(
    make_run: Make, tmp_path: Path
) -> None:
    run = make_run("run", corpus="chaosnli")
    found = report(run)
    shown = draw(found, ["entropy", "b_levels"], out=tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    draw(found, ["entropy", "b_levels"], out=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == first
    assert all("48 items" in figure.title and figure.png.is_file() for figure in shown)
    rows = list(csv.DictReader(io.StringIO(first["levels_chaosnli.csv"].decode())))
    assert {row["test"] for row in rows} == {"Kruskal–Wallis", "Mann–Whitney"}
    assert {"a2_kl", "b_levels", "b_active_labels", "b_classes", "ternary", "learning"} < set(figure_names())
