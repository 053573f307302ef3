"""Several seeds of a method: means, deviations, and the paired difference that is averaged over seeds per item."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from scipy.spatial.distance import jensenshannon

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.comparison import compare
from lalm_ambig.evaluation.effort import Effort, effort_of, read_effort, write_effort
from lalm_ambig.evaluation.pairing import ComparedRun
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, evaluate_predictions
from lalm_ambig.evaluation.seeds import (
    SeedRun,
    StudyRow,
    check_same_items,
    difference_over_seeds,
    interval_over_seeds,
    mean_and_sd,
    with_every_metric,
)

METRIC = "js_div_bits"


@pytest.fixture(scope="module")
def make_row(predictions: list[Prediction], categories: CategorySet, about: About):
    """A row of random answers, of those seeds, to the first `count` items."""

    def make(
        name: str, seeds: tuple[int, ...], *, count: int = 60, speakers: bool = True, weight: float = 0.0
    ):
        runs = []
        for seed in seeds:
            generator = np.random.default_rng([seed, *name.encode()])
            rows = [
                replace(
                    p,
                    speaker=p.speaker if speakers else None,
                    predicted_dist=tuple(
                        (
                            weight * np.array(p.label_dist) + (1 - weight) * generator.dirichlet([1, 1, 1])
                        ).tolist()
                    ),
                )
                for p in predictions[:count]
            ]
            results = evaluate_predictions(rows, categories, about=about)
            runs.append(SeedRun(f"{name}-s{seed}", seed, results, rows))
        return StudyRow(name, name, tuple(runs))

    return make


def divergences(run: SeedRun) -> np.ndarray:
    sides = ([getattr(p, key) for p in run.predictions] for key in ("label_dist", "predicted_dist"))
    return jensenshannon(*sides, base=2, axis=1) ** 2


def test_mean_and_deviation_are_those_of_the_runs_own_results(make_row) -> None:
    row = make_row("a", (0, 1, 2))
    values = [run.results.metrics[METRIC].value for run in row.runs]
    assert row.metric(METRIC) == values
    assert mean_and_sd(values) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    assert mean_and_sd(values[:1]) == (values[0], None) and mean_and_sd([]) == (None, None)


@pytest.mark.parametrize("speakers", [True, False], ids=["speakers", "items"])
def test_the_difference_allows_for_other_speakers_and_other_seeds(make_row, speakers: bool) -> None:
    first = make_row("a", (0, 1, 2), speakers=speakers, weight=0.3)
    second = make_row("b", (0, 1, 2), speakers=speakers)
    of_seeds = np.array(
        [divergences(a) - divergences(b) for a, b in zip(first.runs, second.runs, strict=True)]
    )
    per_item = of_seeds.mean(0)
    names = [p.speaker if speakers else p.id for p in first.runs[0].predictions]
    units = list(dict.fromkeys(names))
    of_unit = np.array([units.index(name) for name in names])
    sums, sizes = np.bincount(of_unit, per_item), np.bincount(of_unit)
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    pseudo = len(units) * per_item.mean() - (len(units) - 1) * without
    between_units = pseudo.var(ddof=1) / len(units)
    between_seeds = of_seeds.mean(1).var(ddof=1) / 3
    error = np.sqrt(between_units + between_seeds)
    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    q, r = scipy.stats.t.ppf(0.975, freedom), scipy.stats.t.ppf(0.975, 2)
    half = np.sqrt(q**2 * between_units + r**2 * between_seeds)
    skewness = scipy.stats.skew(pseudo, bias=True) * (len(units) / (len(units) - 1)) ** -1.5
    skewness *= len(units) ** 2 / ((len(units) - 1) * (len(units) - 2))
    longer = [
        np.sqrt(between_units) * (max(s * skewness, 0) + 0.3) * (1 + 2 * q**2) / (6 * np.sqrt(len(units)))
        for s in (-1, 1)
    ]
    found = difference_over_seeds(first, second, METRIC)
    assert found is not None and found.seeds == (0, 1, 2)
    assert found.difference.value == pytest.approx(per_item.mean())
    assert (found.difference.low, found.difference.high) == (
        pytest.approx(per_item.mean() - half - longer[0]),
        pytest.approx(per_item.mean() + half + longer[1]),
    )
    assert found.difference.share_of_seeds == pytest.approx(between_seeds / error**2)
    assert found.difference.value < 0


def test_with_one_seed_it_is_what_compare_says(make_row) -> None:
    first, second = make_row("a", (4,), weight=0.2), make_row("b", (4,))
    sides = [ComparedRun(row.name, row.runs[0].results, row.runs[0].predictions) for row in (first, second)]
    expected = compare(*sides, metrics=[METRIC]).rows[0].difference
    found = difference_over_seeds(first, second, METRIC)
    assert found is not None and vars(found.difference) == pytest.approx(vars(expected))


def test_only_seeds_that_both_have_are_paired_each_with_its_own(make_row) -> None:
    first, second = make_row("a", (0, 1)), make_row("b", (1, 2))
    found = difference_over_seeds(first, second, METRIC)
    assert found is not None and found.seeds == (1,)
    expected = (divergences(first.runs[1]) - divergences(second.runs[0])).mean()
    assert found.difference.value == pytest.approx(expected)
    assert difference_over_seeds(first, make_row("c", (7,)), METRIC) is None
    assert difference_over_seeds(StudyRow("d", "d", ()), second, METRIC) is None


def test_the_order_of_a_runs_predictions_makes_no_difference(make_row) -> None:
    first, second = make_row("a", (0, 1)), make_row("b", (0, 1))
    turned = replace(
        first,
        runs=(first.runs[0], replace(first.runs[1], predictions=list(reversed(first.runs[1].predictions)))),
    )
    assert difference_over_seeds(turned, second, METRIC) == difference_over_seeds(first, second, METRIC)


def test_seeds_do_not_make_few_items_many(make_row) -> None:
    first, second = make_row("a", (0, 1, 2), count=9), make_row("b", (0, 1, 2), count=9)
    found = difference_over_seeds(first, second, METRIC)
    assert found is not None and found.difference.low is found.difference.p is None
    interval = interval_over_seeds(first, METRIC)
    assert interval is not None and interval.low is None


def test_an_interval_is_around_the_mean_over_seeds(make_row) -> None:
    row = make_row("a", (0, 1, 2))
    interval = interval_over_seeds(row, METRIC)
    assert interval is not None and interval.low is not None and interval.high is not None
    assert interval.value == pytest.approx(mean_and_sd(row.metric(METRIC))[0])
    assert interval.low < interval.value < interval.high
    equal = interval_over_seeds(replace(row, runs=(row.runs[0], row.runs[0])), METRIC)
    one = row.runs[0].results.metrics[METRIC]  # seeds that agree tell nothing more than one
    assert equal is not None and (equal.value, equal.low, equal.high) == (
        pytest.approx(one.value),
        pytest.approx(one.low),
        pytest.approx(one.high),
    )
    assert interval_over_seeds(StudyRow("b", "b", ()), METRIC) is None


def test_a_metric_that_was_not_there_yet_is_computed_from_the_predictions(make_row) -> None:
    run = make_row("a", (0,)).runs[0]
    assert with_every_metric(run) is run
    known = {name: value for name, value in run.results.metrics.items() if name != METRIC}
    older = replace(run, results=replace(run.results, metrics=known))
    again = with_every_metric(older).results.metrics
    assert vars(again[METRIC]) == pytest.approx(vars(run.results.metrics[METRIC]))
    assert set(again) == set(run.results.metrics)


def test_rows_on_other_items_are_refused(make_row) -> None:
    check_same_items([make_row("a", (0, 1)), make_row("b", (0,))])
    with pytest.raises(InputError, match=r"'a-s0' has 60 items and 'b-s0' 59; 1 are only in 'a-s0'"):
        check_same_items([make_row("a", (0,)), make_row("b", (0,), count=59)])


def test_a_value_that_is_not_finite_has_a_mean_and_no_deviation() -> None:
    assert mean_and_sd([math.inf, 0.3]) == (math.inf, None)
    assert mean_and_sd([math.inf, math.inf]) == (math.inf, None)
    assert math.isnan(mean_and_sd([math.nan, 0.3])[0] or 0) and mean_and_sd([math.nan, 0.3])[1] is None


def test_efforts_add_up_over_starts_and_need_every_record(make_row) -> None:
    own, start = Effort(10, 8, 1.5, 1), Effort(20, 6, 3.0, 1)
    runs = make_row("a", (0, 1, 2)).runs
    row = StudyRow(
        "a",
        "a",
        (replace(runs[0], efforts=(own, start)), replace(runs[1], efforts=(own, None)), runs[2]),
    )
    assert row.efforts(with_starts=False) == [own, own]
    assert row.efforts(with_starts=True) == [Effort(30, 8, 4.5, 1)]


def test_the_record_of_a_training_is_read_back_or_refused(tmp_path) -> None:
    path = tmp_path / "training.json"
    assert read_effort(path) is None
    write_effort(path, Effort(3, 8, 0.25, 1))
    assert read_effort(path) == Effort(3, 8, 0.25, 1)
    for text in ("{}", "[1]", "{", '{"updates": "3", "items": 8, "seconds": 1.0, "processes": 1}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"training\.json: not the record of a training"):
            read_effort(path)
    with pytest.raises(TypeError):
        effort_of(None)
