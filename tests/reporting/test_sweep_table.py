"""The table of a sweep: means over seeds, the best by validation, and when there is none."""

from dataclasses import replace
from pathlib import Path

import pytest
from report_runs import about, answers, keep

from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.reporting.sweep import DIVERGED, summarise
from lalm_ambig.tabular.writers import plain_markdown

METRIC = "js_div_bits"


def made(folder: Path, weight: float, *, seed: int = 1, items: int | None = None) -> Path:
    """A run whose validation answers are that near to people's."""
    for name, share in (("trained", weight), ("prior", 0.5)):
        rows = [replace(p, split="validation") for p in answers("crema_d", share, seed=seed)][:items]
        keep(
            folder / "evaluation/validation" / name,
            rows,
            "crema_d",
            replace(about("crema_d"), split="validation"),
        )
    return folder


def js(run: Path) -> float:
    return read_results(run / "evaluation/validation/trained/metrics.json").metrics[METRIC].value


def test_the_lowest_value_is_the_best_and_stands_in_bold(tmp_path: Path) -> None:
    runs = {
        (rate,): [made(tmp_path / rate, weight)]
        for rate, weight in (("1e-4", 0.6), ("3e-4", 0.9), ("1e-3", 0.7))
    }
    found = summarise(["learning_rate"], runs, METRIC)
    assert found.best == 1
    text = plain_markdown(found.table)
    assert text.splitlines()[0].startswith("| learning_rate | JS (base 2) ↓ |")
    assert text.splitlines()[2].startswith("| prior |") and "**" not in text.splitlines()[2]
    assert f"| 3e-4 | **{js(tmp_path / '3e-4'):.3f} (" in text
    assert "crema_d, validation split" in text and "chosen by JS (base 2)" in text
    assert "One seed: another one can change a value" in text and "does not beat the prior" not in text


def test_seeds_are_a_mean_with_its_deviation(tmp_path: Path) -> None:
    pairs = {
        (name,): [made(tmp_path / f"{name}{n}", weight, seed=n) for n in (1, 2)]
        for name, weight in (("a", 0.6), ("b", 0.55))
    }
    found = summarise(["key"], pairs, METRIC)
    first, second = (js(tmp_path / f"a{n}") for n in (1, 2))
    mean, sd = (first + second) / 2, abs(first - second) / 2**0.5
    assert f"| a | **{mean:.3f} ± {sd:.3f}** |" in plain_markdown(found.table)
    assert "mean ± standard deviation of 2 runs each" in plain_markdown(found.table) and found.best == 0


def test_a_diverged_run_is_shown_and_never_chosen(tmp_path: Path) -> None:
    good = [made(tmp_path / "a1", 0.4), made(tmp_path / "a2", 0.4)]
    found = summarise(["key"], {("b",): [made(tmp_path / "b1", 0.9), None], ("a",): good}, METRIC)
    assert found.best == 1 and f"| b | {DIVERGED} |" in plain_markdown(found.table)
    assert "Even the best does not beat the prior" in plain_markdown(found.table)
    nothing = summarise(["key"], {("a",): [None], ("b",): [None]}, METRIC)
    assert nothing.best is None and "Every run diverged" in plain_markdown(nothing.table)


def test_answers_that_cannot_be_read_are_worse_than_any_other(tmp_path: Path) -> None:
    runs = {(name,): [made(tmp_path / name, weight)] for name, weight in (("a", 0.5), ("b", 0.4))}
    assert summarise(["key"], runs, METRIC).best == 0
    for name, share in (("a", 0.0), ("b", 1.0)):
        file = tmp_path / name / "evaluation/validation/trained/metrics.json"
        write_results(file, replace(read_results(file), parse_rate=share))
    found = summarise(["key"], runs, METRIC)
    assert found.best == 1
    assert "An answer that cannot be read counts as worse than any other." in plain_markdown(found.table)


def test_values_that_change_the_validation_items_are_not_compared(tmp_path: Path) -> None:
    runs = {("1",): [made(tmp_path / "a", 0.4)], ("2",): [made(tmp_path / "b", 0.9, items=20)]}
    found = summarise(["limit"], runs, METRIC)
    assert found.best is None and "**" not in plain_markdown(found.table)
    assert "These values change the validation items" in plain_markdown(found.table)


@pytest.mark.parametrize("metric", [METRIC, "bc"])
def test_the_metric_that_chooses_is_the_first_column(tmp_path: Path, metric: str) -> None:
    found = summarise(["key"], {("a",): [made(tmp_path / "a", 0.4)]}, metric)
    assert found.table.columns[0].key == metric
