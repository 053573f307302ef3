"""Figures of several seeds: seeds are no further items, values are means over seeds, and an item counts once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from report_runs import KL_ONLY, Make, answers, report
from scipy import stats

from lalm_ambig.evaluation.intervals import Clusters, intervals
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.metrics.base import formulas
from lalm_ambig.reporting.drawing.canvas import Drawing
from lalm_ambig.reporting.drawing.draw import drawings
from lalm_ambig.reporting.figures.ternary import DOT

Array = NDArray[np.float64]
WEIGHTS = (0.1, 0.6, 1.0)
"""How near each seed is to people."""


def family(make_run: Make, corpus: str = "crema_d") -> list[Path]:
    return [make_run(f"sft-s{seed}", w, seed=seed, corpus=corpus) for seed, w in enumerate(WEIGHTS)]


def rows_of(corpus: str = "crema_d") -> list[list[Prediction]]:
    return [answers(corpus, weight, seed=len("sft-s0")) for weight in WEIGHTS]


def both(rows: Sequence[Prediction]) -> tuple[Array, Array]:
    """Targets and predictions."""
    return np.array([p.label_dist for p in rows]), np.array([p.predicted_dist for p in rows])


def one(name: str, *paths: Path) -> Drawing:
    (drawing,) = drawings(name, report(*paths))
    return drawing


def panel(drawing: Drawing, label: str) -> Axes:
    (ax,) = (ax for ax in drawing.figure.axes if ax.get_title().startswith(label))
    return ax


def bins(rows: Sequence[Prediction]) -> tuple[Array, Array, Array]:
    """Of each bin of the largest probability that has items: their mean of it, of people's share, and their number."""
    target, predicted = both(rows)
    top = predicted.argmax(1)
    sure, people = predicted[np.arange(len(top)), top], target[np.arange(len(top)), top]
    place = np.minimum((sure * 15).astype(int), 14)
    used = np.unique(place)
    means = [np.array([x[place == b].mean() for b in used]) for x in (sure, people)]
    return means[0], means[1], np.array([(place == b).sum() for b in used], dtype=float)


def ece(rows: Sequence[Prediction]) -> float:
    sure, people, counts = bins(rows)
    return float((np.abs(sure - people) * counts).sum() / counts.sum())


def bhattacharyya(rows: Sequence[Prediction]) -> Array:
    target, predicted = both(rows)
    found: Array = np.sqrt(target * predicted).sum(1)
    return found


def accuracy(rows: Sequence[Prediction], kind: Array, c: int) -> float:
    _, predicted = both(rows)
    return float((predicted.argmax(1) == c)[kind == c].mean())


def f1(rows: Sequence[Prediction], kind: Array, c: int) -> float:
    called = both(rows)[1].argmax(1) == c
    return float(2 * (called & (kind == c)).sum() / (called.sum() + (kind == c).sum()))


def test_the_calibration_error_is_the_mean_of_each_seeds_and_seeds_have_a_line_each(make_run: Make) -> None:
    drawing = one("reliability", *family(make_run))
    values = [ece(rows) for rows in rows_of()]
    together = ece([p for rows in rows_of() for p in rows])
    assert f"{np.mean(values):.3f}" != f"{together:.3f}", (
        "opposite errors of seeds cancel in the answers of all"
    )
    ax = panel(drawing, "sft")
    assert ax.get_title() == f"sft\nECE {np.mean(values):.3f} (mean of 3 seeds)"
    assert "seeds" not in panel(drawing, "base").get_title()
    assert drawing.title.endswith("CREMA-D, 48 items, 3 seeds")
    assert len(ax.lines) == 5  # the diagonal, three seeds, all of them
    for line, rows in zip(ax.lines[1:4], rows_of(), strict=True):
        sure, people, _ = bins(rows)
        assert np.allclose(line.get_xdata(), sure) and np.allclose(line.get_ydata(), people)  # type: ignore[arg-type]
    assert "With several seeds (sft: 0, 1, 2), ECE is the mean of each seed's" in drawing.caption


def test_the_correlation_of_entropies_is_the_mean_of_each_seeds_with_the_tables_interval(
    make_run: Make,
) -> None:
    runs = family(make_run)
    drawing, (group,) = one("entropy", *runs), report(*runs).groups
    correlations = []
    for rows in rows_of():
        entropies = [stats.entropy(dist, axis=1) for dist in both(rows)]
        correlations.append(np.corrcoef(*entropies)[0, 1])
    (line,) = (line for line in group.lines if line.label == "sft")
    found, _ = line.metric("entropy_correlation")
    assert found is not None and found.value == pytest.approx(np.mean(correlations))
    assert found.low is not None and found.high is not None
    text = f"r = {np.mean(correlations):.2f} ({found.low:.2f} to {found.high:.2f})".replace("-", "−")
    ax = panel(drawing, "sft")
    assert ax.get_title() == f"sft, mean of 3 seeds\n{text}"
    assert [len(dots.get_offsets()) for dots in ax.collections] == [48, 48, 48]  # type: ignore[arg-type]
    assert drawing.title.endswith("CREMA-D, 48 items, 3 seeds")
    assert "an item has a dot for each seed" in drawing.caption


@pytest.mark.parametrize("name", ["b_levels", "b_active_labels"])
def test_rank_tests_count_an_item_once_with_its_mean_over_seeds(name: str, make_run: Make) -> None:
    drawing = one(name, *family(make_run))
    target = both(rows_of()[0])[0]
    if name == "b_active_labels":
        kind = np.minimum((target > 0).sum(1), 4) - 1
    else:
        kind = np.digitize(stats.entropy(target, axis=1, base=4), [0.33, 0.66])
    values = np.mean([bhattacharyya(rows) for rows in rows_of()], axis=0)
    samples = [values[kind == k] for k in np.unique(kind)]
    assert drawing.tests is not None
    rows = [row for row in drawing.tests.rows if row.names[:2] == ("bc", "sft")]
    kruskal, *pairs = rows
    expected = stats.kruskal(*samples)
    assert kruskal.names[4] == " vs ".join(str(len(s)) for s in samples) and len(values) == 48
    assert [c.value for c in kruskal.cells[:2]] == pytest.approx([expected.statistic, expected.pvalue])
    first = stats.mannwhitneyu(samples[0], samples[1], alternative="two-sided")
    assert [c.value for c in pairs[0].cells[:2]] == pytest.approx([first.statistic, first.pvalue])
    assert {row.notes for row in rows} == {("an item's value is its mean over 3 seeds",)}
    assert all(not row.notes for row in drawing.tests.rows if row.names[1] == "base")
    ticks = [tick.get_text().splitlines()[1] for tick in drawing.figure.axes[0].get_xticklabels()]
    assert [tick for tick in ticks if tick != "n = 0"] == [f"n = {len(s)}" for s in samples]
    assert drawing.title.endswith("48 items, 3 seeds")
    assert "an item's value is its mean over seeds, in boxes and tests" in drawing.caption


def test_bars_by_class_are_means_over_seeds_with_intervals_of_the_items_that_there_are(
    make_run: Make,
) -> None:
    drawing = one("b_classes", *family(make_run))
    votes = np.array([p.votes for p in rows_of()[0]])
    kind = votes.argmax(1)
    heights = [[p.get_height() for p in ax.patches if isinstance(p, Rectangle)] for ax in drawing.figure.axes]
    per_class = {
        1: [np.mean([bhattacharyya(rows)[kind == c].mean() for rows in rows_of()]) for c in range(4)],
        2: [np.mean([accuracy(rows, kind, c) for rows in rows_of()]) for c in range(4)],
        3: [np.mean([f1(rows, kind, c) for rows in rows_of()]) for c in range(4)],
    }
    for at, values in per_class.items():
        assert heights[at][4:] == pytest.approx(values)
    ticks = [tick.get_text().splitlines()[-1] for tick in drawing.figure.axes[0].get_xticklabels()]
    assert ticks == [f"n = {(kind == c).sum()}" for c in range(4)]
    assert drawing.title == "CREMA-D by majority class, 48 items, 3 seeds"
    assert "a bar is the mean of each seed's value" in drawing.caption
    largest = int(np.argmax(np.bincount(kind)))
    chosen = [[p for p, k in zip(rows, kind, strict=True) if k == largest] for rows in rows_of()]
    dists = [[torch.from_numpy(dist) for dist in both(rows)] for rows in chosen]
    speakers = Clusters(tuple(str(p.speaker) for p in chosen[0]))
    (metric,) = (m for m in formulas(4) if m.name == "bc")
    found = intervals([metric], dists[0][0], predicted_dist=[d[1] for d in dists], clusters=speakers)["bc"]
    assert found.low is not None and found.high is not None
    assert any(end == pytest.approx((found.low, found.high)) for end in ends(drawing.figure.axes[1]))
    assert found.high - found.low > np.std([bhattacharyya(rows).mean() for rows in chosen])


def ends(ax: Axes) -> list[tuple[float, float]]:
    """The ends of every vertical line of a panel."""
    lines = [segment for c in ax.collections if isinstance(c, LineCollection) for segment in c.get_segments()]
    return [(float(s[0][1]), float(s[1][1])) for s in lines]


def folded(make_run: Make, *places: tuple[int, int]) -> list[Path]:
    """Runs of those seeds and folds."""
    return [make_run(f"cv-s{seed}-fold{fold}", 0.2 + seed / 2, seed=seed, fold=fold) for seed, fold in places]


def answers_in(*folds: int, seed: int) -> list[Prediction]:
    name = len("cv-s0-fold0")
    return [p for fold in folds for p in answers("crema_d", 0.2 + seed / 2, seed=name, fold=fold)]


def test_folds_have_their_own_items_and_seeds_the_same(make_run: Make) -> None:
    runs = folded(make_run, (0, 0), (0, 1), (1, 0), (1, 1))
    drawing = one("reliability", *runs)
    assert drawing.title.endswith("96 items, 2 seeds")
    mean = np.mean([ece(answers_in(0, 1, seed=seed)) for seed in (0, 1)])
    assert panel(drawing, "cv").get_title() == f"cv\nECE {mean:.3f} (mean of 2 seeds)"
    assert "Items of all folds are pooled" in drawing.caption
    alone = one("reliability", *runs[:2])
    assert alone.title.endswith("CREMA-D, 96 items")
    assert panel(alone, "cv-s0").get_title() == f"cv-s0\nECE {ece(answers_in(0, 1, seed=0)):.3f}"
    tests = one("b_levels", *runs).tests
    assert tests is not None
    counts = {row.names[4] for row in tests.rows if row.names[2] == "Kruskal–Wallis"}
    assert [sum(map(int, text.split(" vs "))) for text in counts] == [96]


def test_seeds_with_other_folds_are_each_scored_on_their_own_without_an_interval(make_run: Make) -> None:
    runs = folded(make_run, (0, 0), (0, 1), (1, 0))
    drawing = one("b_classes", *runs)
    assert drawing.title.endswith("96 items, 2 seeds")
    assert "No intervals of cv: its seeds have different items." in drawing.caption
    parts = [answers_in(0, 1, seed=0), answers_in(0, seed=1)]
    kinds = [np.array([p.votes for p in rows]).argmax(1) for rows in parts]
    expected = [
        np.mean([bhattacharyya(rows)[kind == c].mean() for rows, kind in zip(parts, kinds, strict=True)])
        for c in range(4)
    ]
    bars = [p.get_height() for p in drawing.figure.axes[1].patches if isinstance(p, Rectangle)]
    assert bars[4:] == pytest.approx(expected)
    assert len(ends(drawing.figure.axes[1])) <= 4


def test_lines_with_other_numbers_of_items_and_seeds_say_so(make_run: Make) -> None:
    less = make_run("kl-s0-fold0", 0.5, model=KL_ONLY, seed=0, fold=0)
    drawing = one("entropy", *folded(make_run, (0, 0), (0, 1), (1, 0), (1, 1)), less)
    assert drawing.title.endswith("48–96 items, 1–2 seeds")
    heads = [ax.get_title().splitlines()[0] for ax in drawing.figure.axes]
    assert heads == ["base, 96 items", "cv, 96 items, mean of 2 seeds", "kl-s0-fold0, 48 items"]


def test_triangles_and_scores_against_fewer_annotators_count_items(make_run: Make) -> None:
    runs = family(make_run, "chaosnli")
    ternary = one("ternary", *runs)
    assert ternary.title.endswith("48 items, 3 seeds")
    for ax in ternary.figure.axes:
        areas = [float(area) for c in ax.collections for area in c.get_sizes()]  # type: ignore[attr-defined]
        assert sum(areas) == pytest.approx(48 * DOT), ax.get_title()
    curves = one("annotators", *runs)
    assert curves.title.endswith("48 items, 3 seeds")
    assert curves.tests is not None
    (row,) = (row for row in curves.tests.rows if row.names == ("sft",))
    single = [one("annotators", run).tests for run in runs]
    last = [line.cells[0].value for t in single if t is not None for line in t.rows if "sft" in line.names[0]]
    assert row.cells[0].value == pytest.approx(np.mean([value for value in last if value is not None]))


def test_lalm_figure_2_counts_the_items_of_folds_and_not_those_of_seeds(make_run: Make) -> None:
    ce = {"class_path": "lalm_ambig.methods.sft.SFT", "init_args": {"objective": {"kl_weight": 0.0}}}
    seeds = [make_run(f"ce-s{seed}", 0.4, model=ce, seed=seed) for seed in (0, 1)]
    assert one("a2_kl", *seeds).figure.axes[0].get_title().endswith("48 items")
