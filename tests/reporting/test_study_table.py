"""The tables, the numbers and the figure of a study."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.comparison import is_significant, p_text
from lalm_ambig.evaluation.effort import Effort
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, evaluate_predictions
from lalm_ambig.evaluation.seeds import SeedRun, StudyRow, mean_and_sd
from lalm_ambig.evaluation.stages import Stage
from lalm_ambig.reporting.study.files import check_free, write_study
from lalm_ambig.reporting.study.summary import Outline, Summary, summarise
from lalm_ambig.reporting.study.table import EFFORTS, effort_table, score_table
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import narrow_parts, terminal

CLASSES = CategorySet(("anger", "neutral", "sadness"))
ABOUT = About("demo", "test", "logits", "generated", "tiny")
OUTLINE = Outline("mine", "My study", "a", ("js_div_bits", "bc", "accuracy"), (0, 1))


def a_run(
    name: str,
    seed: int,
    weight: float,
    *,
    items: int = 60,
    n_speakers: int = 6,
    about: About = ABOUT,
    trained: int = 8,
) -> SeedRun:
    """A run whose answers go so far from noise towards people's."""
    generator = np.random.default_rng(1)
    noise = np.random.default_rng([seed, *name.encode()])
    rows = []
    for number in range(items):
        votes = generator.multinomial(8, generator.dirichlet([1, 2, 1])) + 1
        target = votes / votes.sum()
        dist = weight * target + (1 - weight) * noise.dirichlet([1, 1, 1])
        mass = {"class_mass": 0.5 + 0.1 * seed, "tokens": 10.0 + seed, "well_formed": 1.0}
        rows.append(
            Prediction(
                f"i{number}",
                "test",
                f"s{number % n_speakers}",
                tuple(map(float, votes)),
                tuple(target.tolist()),
                tuple(dist.tolist()),
                **(mass if name == "b" else {}),
            )
        )
    results = evaluate_predictions(rows, CLASSES, about=about)
    efforts = (Effort(10, trained, 2.0 + seed, 1), Effort(5, 8, 1.0, 1))
    return SeedRun(
        f"{name}-s{seed}", seed, results, rows, {"js_div_bits": 0.1 * (seed + 1)}, efforts, seed * 10
    )


def a_row(
    name: str, label: str, weight: float, seeds: tuple[int, ...] = (0, 1), **settings: object
) -> StudyRow:
    return StudyRow(name, label, tuple(a_run(name, seed, weight, **settings) for seed in seeds))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def summary() -> Summary:
    rows = (
        a_row("a", "KL-only", 0.3),
        a_row("b", "Better", 0.9),
        a_row("c", "Partial", 0.95, seeds=(1,)),
        StudyRow("d", "Missing", ()),
    )
    return summarise(OUTLINE, rows, {"prior": a_run("p", 0, 0.1).results})


def texts(table: ResultTable) -> dict[str, list[str]]:
    return {row.names[0]: [cell.written() for cell in row.cells] for row in table.rows}


def test_a_row_has_its_runs_mean_deviation_and_paired_difference(summary: Summary) -> None:
    table = score_table(summary)
    found, better = texts(table), summary.rows[1]
    assert list(found) == ["prior", "KL-only", "Better", "Partial"]
    values = [run.results.metrics["js_div_bits"].value for run in better.row.runs]
    mean, deviation = mean_and_sd(values)
    assert found["Better"][0] == f"{mean:.3f} ± {deviation:.3f}"
    assert found["Better"][3] == "0.150 ± 0.071"
    reference = mean_and_sd(summary.rows[0].row.metric("js_div_bits"))[0]
    assert found["Better"][4].startswith(f"{mean - reference:+.3f} (-")
    assert better.difference is not None and better.difference.difference.effect is not None
    assert found["Better"][5:] == [
        f"{better.difference.difference.effect:+.2f}",
        p_text(better.p_holm),
        "2",
    ]
    assert found["KL-only"][4:] == ["–", "–", "–", "2"]
    assert found["Partial"][7] == "1 of 2" and "±" not in found["Partial"][0]
    assert found["prior"][3:] == ["–"] * 5 and found["prior"][0].endswith(")")


def test_the_best_complete_row_and_clear_differences_are_bold(summary: Summary) -> None:
    ranks = {row.names[0]: [cell.rank for cell in row.cells] for row in score_table(summary).rows}
    # validation is not ranked; the partial row has a lower mean, of fewer seeds
    assert ranks["Better"][:5] == [1, 1, 1, 0, 1]
    assert ranks["KL-only"][0] == ranks["Partial"][0] == ranks["prior"][0] == 0
    assert ranks["Partial"][4] == 0, "its difference is of one seed, which says nothing of others"
    assert is_significant(summary.rows[2].p_holm)
    alike = summarise(OUTLINE, (a_row("a", "KL-only", 0.3), a_row("c", "Alike", 0.3)), {})
    low, high = alike.rows[1].difference.difference.low, alike.rows[1].difference.difference.high  # type: ignore
    assert low < 0 < high and score_table(alike).rows[1].cells[4].rank == 0


def test_the_caption_says_what_is_compared_and_how(summary: Summary) -> None:
    text = " ".join(score_table(summary).caption)
    digest = summary.first.items_digest
    assert summary.rows[1].difference is not None
    share = summary.rows[1].difference.difference.share_of_seeds
    for part in (
        f"demo, test split, the same 60 items for every row ({digest}); mean ± standard deviation over seeds 0, 1.",
        "Compared by js_div_bits, lower is better. Answers: logits readout, generated reasoning.",
        "Differences from 'KL-only' are paired by item and seed, averaged over seeds, and allow for other seeds; 95% "
        "intervals and two-sided p over 6 speakers, each with all its seeds.",
        "p (Holm) allows for the number of rows",
        "Without a finished run: Missing.",
        "Effect: the difference over its standard deviation between speakers.",
        f"Of the variance of each difference, seeds make {share:.0%} (Better); the rest is between speakers.",
        "The difference of Partial is over seed 1 alone: it says nothing of other seeds.",
    ):
        assert part in text, part
    assert "too narrow" not in text
    older = replace(summary.references["prior"], intervals="bootstrap")
    text = " ".join(score_table(replace(summary, references={"prior": older})).caption)
    assert "prior: intervals of an older version, too narrow with few speakers" in text


def test_a_reference_that_lacks_a_seed_and_a_study_of_one_seed_say_so() -> None:
    rows = (a_row("a", "KL-only", 0.3, seeds=(0, 1)), a_row("b", "Better", 0.9, seeds=(0, 1, 2)))
    text = " ".join(score_table(summarise(replace(OUTLINE, seeds=(0, 1, 2)), rows, {})).caption)
    assert (
        "'KL-only' has only seeds 0, 1: differences are over no other." in text
        and "alone" not in text.split("In bold")[0]
    )
    one = (a_row("a", "KL-only", 0.3, seeds=(0,)), a_row("b", "Better", 0.9, seeds=(0,)))
    table = score_table(summarise(replace(OUTLINE, seeds=(0,)), one, {}))
    text = " ".join(table.caption)
    assert "are paired by item, of one seed: nothing is said of other seeds; 95% intervals" in text
    assert "is over seed" not in text and table.rows[1].cells[4].rank == 1


def test_a_note_names_the_seeds_that_it_is_about() -> None:
    runs = a_row("a", "KL-only", 0.3).runs
    notes = (("said of all",), ("said of all", "said of one"))
    noted = tuple(
        replace(run, results=replace(run.results, notes=of)) for run, of in zip(runs, notes, strict=True)
    )
    text = " ".join(score_table(summarise(OUTLINE, (StudyRow("a", "KL-only", noted),), {})).caption)
    assert "KL-only: said of all." in text and "KL-only, seed 1: said of one." in text


def test_few_speakers_few_items_and_other_readings_are_said() -> None:
    direct = replace(ABOUT, reasoning="direct")
    rows = (a_row("a", "KL-only", 0.3, n_speakers=2, about=direct), a_row("b", "Better", 0.9, n_speakers=2))
    two = score_table(summarise(OUTLINE, rows, {}))
    text = " ".join(two.caption)
    assert "an interval over two speakers is little more than a guess: nothing is in bold" in text
    assert not any(cell.rank for row in two.rows for cell in row.cells)
    assert "logits readout, direct reasoning (KL-only); logits readout, generated reasoning (Better)" in text
    few = summarise(OUTLINE, (a_row("a", "KL-only", 0.3, items=8), a_row("b", "B", 0.9, items=8)), {})
    table = score_table(few)
    assert "No intervals, which take at least 10 items: 8 items." in " ".join(table.caption)
    assert "(" not in texts(table)["B"][4] and texts(table)["B"][5] == "–"


def test_a_row_that_is_no_test_is_marked_and_never_the_best() -> None:
    leaky = replace(ABOUT, trained_items=Overlap(3, 0, 60, ("x",)))
    rows = (a_row("a", "KL-only", 0.3), a_row("b", "Better", 0.9, about=leaky))
    table = score_table(summarise(OUTLINE, rows, {}))
    assert table.rows[1].names == ("Better (3 of 60 items trained on)",)
    assert table.rows[0].cells[0].rank == 1 and table.rows[1].cells[0].rank == 0
    assert "NOT A TEST" in " ".join(table.caption)


def test_what_training_took_and_what_responses_are_like(summary: Summary) -> None:
    table = effort_table(summary)
    assert [column.label for column in table.columns[:6]] == [column.label for column in EFFORTS]
    assert texts(table)["Better"] == ["8", "10", "15", "2", "4", "0, 10", "55.0%", "100.0%", "10.5"]
    assert texts(table)["KL-only"][6:] == ["–"] * 3
    assert "DIFFERENT NUMBERS" not in " ".join(table.caption)
    rows = (a_row("a", "KL-only", 0.3), a_row("b", "Better", 0.9, trained=6))
    assert "DIFFERENT NUMBERS OF ITEMS" in " ".join(effort_table(summarise(OUTLINE, rows, {})).caption)


def recorded(row: StudyRow, digest: str, tokens: int | None) -> StudyRow:
    """The row as runs of today keep it: with the tokens of a run and its start, and the items of both."""
    runs = []
    for run in row.runs:
        efforts = tuple(replace(effort, tokens=tokens) for effort in run.efforts if effort is not None)
        about = replace(run.results.about, training=(Stage(8, digest), Stage(8, digest)))
        runs.append(replace(run, efforts=efforts, results=replace(run.results, about=about)))
    return replace(row, runs=tuple(runs))


def test_tokens_and_fingerprints_of_the_items_are_shown_where_runs_keep_them() -> None:
    first, second = a_row("a", "KL-only", 0.3), a_row("b", "Better", 0.9)
    table = effort_table(summarise(OUTLINE, (recorded(first, "x", 600), recorded(second, "y", 7000)), {}))
    assert [column.label for column in table.columns[6:8]] == ["tokens seen", "with start"]
    assert texts(table)["KL-only"][6:8] == ["600", "1200"] and texts(table)["Better"][6:8] == ["7000", "14 k"]
    below = " ".join(table.caption)
    assert "TRAINED ON DIFFERENT ITEMS: KL-only: 8 items (x); Better: 8 items (y)." in below
    rows = recorded(first, "x", 600), recorded(second, "x", None)
    table = effort_table(summarise(OUTLINE, rows, {}))
    assert texts(table)["Better"][6:8] == ["–", "–"] and "DIFFERENT" not in " ".join(table.caption)


def test_rows_on_other_items_make_no_table() -> None:
    rows = (a_row("a", "KL-only", 0.3), a_row("b", "Better", 0.9, items=59))
    with pytest.raises(InputError, match="'a-s0' has 60 items and 'b-s0' 59"):
        summarise(OUTLINE, rows, {})


def test_a_terminal_of_eighty_columns_shows_every_number(summary: Summary) -> None:
    table = score_table(summary)
    first, second = narrow_parts(table, 4)
    console = Console(width=80, record=True)
    console.print(terminal(first, narrow=True), terminal(second, narrow=True))
    shown = console.export_text()
    assert "…" not in shown and texts(table)["Better"][0] in shown and p_text(summary.rows[1].p_holm) in shown
    assert first.caption == () and second.caption == table.caption


def test_the_files_hold_the_tables_and_all_numbers(summary: Summary, tmp_path: Path) -> None:
    write_study(tmp_path, summary, [score_table(summary), effort_table(summary)])
    write_study(tmp_path, summary, [score_table(summary), effort_table(summary)])
    text = (tmp_path / "mine.md").read_text()
    assert text.startswith("**My study**") and "| **Better**" not in text and "55.0%" in text
    content = json.loads((tmp_path / "mine.json").read_text())
    (better,) = (row for row in content["rows"] if row["name"] == "b")
    assert better["metrics"]["js_div_bits"]["by_seed"] == summary.rows[1].row.metric("js_div_bits")
    assert better["chosen"] == [0, 10]
    assert (
        better["difference"]["seeds"] == [0, 1]
        and better["difference"]["p"] <= better["difference"]["p_holm"] < 0.05
    )
    known = {"updates": 15, "items": 8, "seconds": 3.0, "processes": 1}
    assert better["training_with_starts"][0] == {**known, "tokens": None, "device": None}
    assert content["rows"][3]["metrics"]["bc"]["mean"] is None
    with (tmp_path / "mine.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert float(rows["Better"]["js_div_bits"]) == better["metrics"]["js_div_bits"]["mean"]
    assert float(rows["Better"]["difference_low"]) == better["difference"]["low"]
    assert float(rows["Better"]["p_holm"]) == better["difference"]["p_holm"]


@pytest.mark.parametrize("name", ["mine.md", "mine.csv", "mine.json"])
def test_a_file_of_something_else_is_left(name: str, tmp_path: Path, summary: Summary) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name} is there and is not what study writes"):
        check_free(tmp_path, "mine", where="study")
    with pytest.raises(InputError, match="left as it is"):
        write_study(tmp_path, summary, [score_table(summary)])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_figure_has_a_dot_per_seed_the_interval_and_the_reference_rows(
    summary: Summary, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    from lalm_ambig.reporting.study.figure import draw_study, drawing

    (ax,) = drawing(summary).figure.axes
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == ["KL-only", "Better", "Partial"]
    dots = {line.get_ydata()[0]: list(line.get_xdata()) for line in ax.lines if line.get_marker() == "o"}
    assert dots[1] == summary.rows[1].row.metric("js_div_bits")
    bars = {line.get_ydata()[0]: list(line.get_xdata()) for line in ax.lines if line.get_color() == "#888888"}
    interval = summary.rows[1].interval
    assert interval is not None and bars[1] == [interval.low, interval.high]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_label() == "prior"] == [
        summary.references["prior"].metrics["js_div_bits"].value
    ]
    assert draw_study(summary, tmp_path) == tmp_path / "mine.png"
    assert (tmp_path / "mine.svg").stat().st_size > 0
    bare = replace(summary.references["prior"], metrics={})
    odd = replace(summary, references={"prior": bare}, outline=replace(OUTLINE, title=r"KL $\foo$ | x"))
    (ax,) = drawing(odd).figure.axes
    assert "prior" not in [line.get_label() for line in ax.lines]
    assert draw_study(odd, tmp_path).stat().st_size > 0
