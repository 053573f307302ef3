"""What training took, beside the tables of methods; and lines that were trained on different items."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_runs import KL_ONLY, Make, about, named, report
from rich.console import Console

from lalm_ambig.evaluation.effort import Effort, write_effort
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.evaluation.stages import Past, Stage
from lalm_ambig.evaluation.trained_items import TrainedItem, TrainedItems, TrainedRun, write_trained_items
from lalm_ambig.report import main
from lalm_ambig.reporting.effort import in_short
from lalm_ambig.reporting.tables import sheets
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import terminal

TOOK = Effort(40, 60, 100.0, 2, tokens=1_500_000, device="NVIDIA H200")
OWN, OTHER = Stage(60, "aaa", TOOK), Stage(80, "bbb", replace(TOOK, updates=20, processes=1))
DIFFERENT = "TRAINED ON DIFFERENT ITEMS"


def trained(run: Path, *past: Stage, row: str = "trained") -> Path:
    """The run with a past in the results of one of its rows."""
    file = run / "evaluation" / row / "metrics.json"
    results = read_results(file)
    write_results(file, replace(results, about=replace(results.about, training=past)))
    return run


def effort(name: str, *runs: Path) -> ResultTable:
    [found] = [sheet for sheet in sheets(name, report(*runs)) if sheet.stem.endswith("_effort")]
    return found


def shown(table: ResultTable, row: str) -> Sequence[str]:
    return [cell.written() for cell in named(table)[(row,)].cells]


def heads(table: ResultTable) -> list[str]:
    return [column.label for column in table.columns]


def test_it_stands_beside_each_table_of_methods(make_run: Make) -> None:
    run = trained(make_run("sft"), OWN)
    for name in ("all", "a2", "a3"):
        table = effort(name, run)
        assert table.stem == f"{name}_crema_d_effort"
        assert heads(table) == ["items", "updates", "tokens", "seconds", "GPU-s"]
        assert [row.names for row in table.rows] == [("sft",)]
        assert shown(table, "sft") == ["60", "40", "1.5 M", "100", "200"]
    assert [sheet.stem for sheet in sheets("b1", report(run))] == ["b1", "published_shala_table_1"]


def test_what_starts_took_is_added_in_columns_of_their_own(make_run: Make) -> None:
    runs = trained(make_run("kl", model=KL_ONLY), OWN), trained(make_run("sft", 0.5), OWN, OTHER)
    table = effort("all", *runs)
    assert heads(table)[:3] == ["items", "updates", "+ start"]
    assert shown(table, "kl")[:3] == ["60", "40", "40"]
    assert shown(table, "sft")[:3] == ["60", "40", "60"] and shown(table, "sft")[-2:] == ["200", "300"]
    lost = trained(runs[1], OWN, replace(OTHER, effort=None))
    assert shown(effort("all", runs[0], lost), "sft")[:3] == ["60", "40", "–"]


def test_a_line_of_several_seeds_has_their_mean_and_a_gap_where_one_lacks_it(make_run: Make) -> None:
    seeds = [make_run(f"sft-s{seed}", 0.5 + seed / 10, seed=seed) for seed in (0, 1)]
    trained(seeds[0], OWN)
    trained(seeds[1], replace(OWN, effort=replace(TOOK, updates=20, tokens=None)))
    table = effort("all", *seeds)
    assert heads(table) == ["items", "updates", "seconds", "GPU-s"] and shown(table, "sft")[:2] == [
        "60",
        "30",
    ]


def test_on_a_processor_there_are_no_seconds_of_a_device(make_run: Make) -> None:
    on_cpu = replace(OWN, effort=replace(TOOK, device="cpu", processes=1))
    table = effort("all", trained(make_run("sft"), on_cpu), trained(make_run("kl", 0.4, model=KL_ONLY), OWN))
    assert shown(table, "sft")[-2:] == ["100", "–"] and shown(table, "kl")[-1] == "200"
    assert table.caption[-1] == "Trained on: cpu (sft); 2 × NVIDIA H200 (kl)."
    alone = effort("all", trained(make_run("sft"), on_cpu))
    assert "GPU-s" not in heads(alone) and alone.caption[-1] == "Trained on: cpu."


def captions(*runs: Path) -> dict[str, str]:
    return {
        sheet.stem: " ".join(sheet.caption) for name in ("all", "a2") for sheet in sheets(name, report(*runs))
    }


def test_lines_on_the_same_items_are_said_to_be(make_run: Make) -> None:
    found = captions(trained(make_run("kl", model=KL_ONLY), OWN), trained(make_run("sft", 0.5), OWN))
    assert not any(DIFFERENT in text or "Not recorded, so" in text for text in found.values())
    assert "All of them were trained on the same items (aaa)." in found["all_crema_d_effort"]


def test_lines_on_different_items_are_named_below_every_table(make_run: Make) -> None:
    found = captions(trained(make_run("kl", model=KL_ONLY), OTHER), trained(make_run("sft", 0.5), OWN))
    for stem in ("all_crema_d", "all_crema_d_effort", "a2", "a2_crema_d_effort"):
        assert f"{DIFFERENT}: kl: 80 items (bbb); sft: 60 items (aaa)." in found[stem]
    assert "the same items" not in found["all_crema_d_effort"]


def test_a_line_whose_items_are_not_known_is_named_and_a_single_one_is_not(make_run: Make) -> None:
    old, new = make_run("kl", model=KL_ONLY), trained(make_run("sft", 0.5), OWN)
    found = captions(old, new)
    assert "Not recorded, so not compared: the items that kl had been trained on." in found["all_crema_d"]
    assert shown(effort("all", old, new), "kl") == ["–"] * 5
    assert "Not recorded, so" not in captions(old)["all_crema_d"]
    assert "all_crema_d_effort" not in captions(old)


def test_folds_are_compared_on_those_that_all_lines_have(make_run: Make) -> None:
    def fold(name: str, number: int, stage: Stage, **model: Any) -> Path:
        return trained(make_run(f"{name}-fold{number}", 0.5 + number / 10, fold=number, **model), stage)

    sft = [fold("sft", 0, OWN), fold("sft", 1, OTHER)]
    same, swapped = fold("kl", 0, OWN, model=KL_ONLY), fold("kl", 1, OWN, model=KL_ONLY)
    assert DIFFERENT not in captions(*sft, same)["all_crema_d"]
    assert DIFFERENT in captions(*sft, same, swapped)["all_crema_d"]


def test_a_base_model_is_a_line_only_where_it_is_a_merged_run(make_run: Make) -> None:
    run = trained(make_run("sft"), OWN)
    assert [row.names for row in effort("all", trained(run, row="base")).rows] == [("sft",)]
    merged = trained(run, replace(OTHER, effort=None), row="base")
    table = effort("all", merged)
    assert [row.names for row in table.rows] == [("base",), ("sft",)]
    assert DIFFERENT in " ".join(table.caption)


def older(run: Path, ids: str) -> Path:
    """A run of a version whose results do not say what it was trained on, but whose folder does."""
    items = tuple(TrainedItem(name, "train", None, "") for name in ids)
    write_trained_items(run, TrainedItems((TrainedRun(run.name, {"corpus": "crema_d"}, items),)))
    write_effort(run / "training.json", Effort(40, len(ids), 100.0, 1))
    return run


def test_the_command_finds_it_in_older_folders_too(make_run: Make, tmp_path: Path) -> None:
    runs = older(make_run("kl", model=KL_ONLY), "abc"), older(make_run("sft", 0.5), "ab")
    out = tmp_path / "out"
    words = ["--table", "all", "a2", "--figure", "none", "--out", str(out)]
    assert main([*map(str, runs), *words]) == 0
    for name in ("all_crema_d.md", "all_crema_d_effort.tex", "a2.md", "report.html"):
        assert f"{DIFFERENT}: kl: 3 items" in (out / name).read_text(), name
    with (out / "all_crema_d_effort.csv").open(newline="") as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert rows["kl"]["items_trained"] == "3" and rows["sft"]["updates"] == "40"


@pytest.mark.parametrize("past", [(OWN,), (OWN, OTHER)])
def test_it_fits_a_terminal_of_eighty_columns(make_run: Make, past: Past) -> None:
    table = effort("all", trained(make_run("kl", model=KL_ONLY), OTHER), trained(make_run("sft", 0.5), *past))
    console = Console(width=80, record=True)
    console.print(terminal(table, narrow=True))
    text = console.export_text()
    assert "…" not in text and all(number in text for number in shown(table, "sft"))


def test_large_numbers_are_short() -> None:
    numbers = {0: "0", 9999.4: "9999", 9999.6: "10 k", 25_349: "25.3 k", 999_400: "999 k", 999_600: "1 M"}
    assert {number: in_short(number) for number in numbers} == numbers
    assert (in_short(7.126e6), in_short(999.6e6), in_short(2.5e9)) == ("7.13 M", "1 G", "2.5 G")


def test_an_evaluated_folder_has_the_past_of_its_run(
    make_run: Make, make_evaluated: Make, tmp_path: Path
) -> None:
    run = older(make_run("sft"), "abc")
    folder = make_evaluated("again", [*report(run).groups[0].lines[-1].predictions], policy="tiny, sft")
    out = tmp_path / "out"
    assert main([str(run), str(folder), "--figure", "none", "--out", str(out)]) == 0
    text = (out / "all_crema_d_effort.md").read_text()
    assert "| again | 3 |" in text and "All of them were trained on the same items" in text
    assert about("crema_d").training is None
