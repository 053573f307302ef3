"""Which columns a corpus's tables have, and the table by ambiguity level."""

from dataclasses import replace

import pytest
from rich.console import Console

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.corpora.base import LALM_METRICS, SHALA_METRICS, corpus_class, corpus_names
from lalm_ambig.corpora.lewidi.parts import NOMINAL_METRICS
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.table import ambiguity_table, main_table
from lalm_ambig.metrics.base import all_metrics
from lalm_ambig.tabular.model import TableRow
from lalm_ambig.tabular.writers import plain_markdown, terminal

LEVELS = {"low": (20.0, 0.0, 0.0), "medium": (9.0, 3.0, 0.0), "high": (4.0, 4.0, 4.0)}
COUNTS = {"low": 12, "medium": 11, "high": 3}


def predicted(dist: tuple[float, ...], about: About, **counts: int) -> Results:
    rows = [
        Prediction(f"{level} {n}", "test", None, votes, tuple(v / sum(votes) for v in votes), dist)
        for level, votes in LEVELS.items()
        for n in range(counts[level])
    ]
    return evaluate_predictions(rows, CategorySet(("a", "b", "c")), about=about)


def texts(row: TableRow) -> list[str]:
    return [*row.names, *(cell.written() for cell in row.cells)]


@pytest.fixture(scope="module")
def results(about: About) -> dict[str, Results]:
    about = replace(about, table_metrics=SHALA_METRICS)
    flat, sure = (1 / 3, 1 / 3, 1 / 3), (1.0, 0.0, 0.0)
    return {name: predicted(dist, about, **COUNTS) for name, dist in {"flat": flat, "sure": sure}.items()}


@pytest.mark.parametrize("name", corpus_names())
def test_the_columns_of_every_corpus_are_metrics_that_begin_with_a_divergence_and_the_overlap(
    name: str,
) -> None:
    cls = corpus_class(name)
    assert cls is not None
    assert set(cls.table_metrics) <= {metric.name for metric in all_metrics(3)}
    if name == "lewidi":  # its shared tasks have metrics of their own
        assert cls.table_metrics == NOMINAL_METRICS
        return
    assert cls.table_metrics[0].startswith("js_")
    assert cls.table_metrics[1] == "bc"
    in_shala_llm = name in ("chaosnli", "goemotions", "msp_podcast")
    assert cls.table_metrics == (SHALA_METRICS if in_shala_llm else LALM_METRICS)


def test_shala_llm_s_columns_say_which_divergence_and_which_f1(results: dict[str, Results]) -> None:
    head = main_table(results).head
    assert head == ("method", "JSD (√, base 2) ↓", "BC ↑", "Acc. ↑", "F1 (macro) ↑", "F1 (weighted) ↑")
    js = results["flat"].metrics["js_dist_bits"].value
    assert main_table(results).rows[0].cells[0].written().startswith(f"{js:.3f} (")


def test_results_with_other_columns_take_those_of_the_first(
    results: dict[str, Results], about: About
) -> None:
    old = predicted((0.5, 0.3, 0.2), about, **COUNTS)
    assert old.about.table_metrics == LALM_METRICS
    table = main_table({**results, "old": old})
    assert len(table.head) == 6
    assert table.rows[2].cells[0].written().startswith(f"{old.metrics['js_dist_bits'].value:.3f} (")
    levels = ambiguity_table({**results, "old": old})
    assert [text[:1] for text in texts(levels.rows[2])] == ["", "o", "–", "0"]


def test_a_level_has_its_number_of_items_and_its_own_best(results: dict[str, Results]) -> None:
    table = ambiguity_table(results)
    assert table.head == ("ambiguity (items)", "method", "JSD (√, base 2) ↓", "BC ↑")
    assert [list(row.names) for row in table.rows] == [
        ["low (12)", "flat"],
        ["", "sure"],
        ["medium (11)", "flat"],
        ["", "sure"],
        ["high (3)", "flat"],
        ["", "sure"],
    ]
    best = [[cell.rank == 1 for cell in row.cells] for row in table.rows]
    assert best == [[False, False], [True, True], [False, False], [True, True], [True, True], [False, False]]
    assert table.rows[1].cells[0].written() == "0.000 (0.000–0.000)"
    assert table.rows[4].cells[0].written() == "0.000", "three items have no interval"
    assert table.rows[4].cells[1].written() == "1.000"


def test_a_level_without_items_has_no_rows(about: About) -> None:
    none_high = predicted((0.5, 0.3, 0.2), about, low=12, medium=11, high=0)
    table = ambiguity_table({"one": none_high})
    assert [row.names[0] for row in table.rows] == ["low (12)", "medium (11)"]
    assert not any(cell.rank for row in table.rows for cell in row.cells), "one method alone is not the best"


def test_four_methods_by_three_levels_fit_a_screen(results: dict[str, Results]) -> None:
    four = {"uniform": results["flat"], "prior": results["flat"], "base": results["sure"]}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(terminal(ambiguity_table({**four, "chaosnli-sft-0123abcd": results["sure"]})))
    lines = capture.get().splitlines()
    assert "…" not in capture.get()
    assert len(lines) <= 24
    assert "normalised entropy" in lines[-1] or "normalised entropy" in lines[-2]


def test_the_markdown_marks_the_best_and_ends_with_what_a_level_is(results: dict[str, Results]) -> None:
    lines = plain_markdown(ambiguity_table(results)).splitlines()
    assert lines[1] == "| --- | --- | ---: | ---: |"
    assert lines[3] == "|  | sure | **0.000 (0.000–0.000)** | **1.000 (1.000–1.000)** |"
    assert lines[-1].startswith("Ambiguity: normalised entropy of the votes")
