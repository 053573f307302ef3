"""The papers' tables from run folders: which cells, which gaps, which footnotes."""

from dataclasses import replace
from typing import Any

import pytest
from report_runs import KL_ONLY, SFT, Make, answers, named, report, table

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.tables import sheets, table_names
from lalm_ambig.tabular.writers import markdown


def grpo(reward: str, **settings: Any) -> dict[str, Any]:
    rewards = [{"class_path": f"lalm_ambig.rewards.x.{reward}", "init_args": settings}]
    return {"class_path": "lalm_ambig.methods.grpo.GRPO", "init_args": {"rewards": rewards, "curated": None}}


def test_a_papers_table_shows_what_could_be_read(make_run: Make) -> None:
    run = make_run("words", corpus="chaosnli", readout="verbalised")
    found = table("b1", run)
    assert found.columns[-1].label == "parsed"
    assert "100.0%" in markdown(found)
    assert "parsed" not in [
        column.label for column in table("b1", make_run("logits", corpus="chaosnli")).columns
    ]


def test_a_table_shows_class_mass_form_and_length_where_they_are_known(make_run: Make) -> None:
    run = make_run("sft_run", 0.8)
    assert table("a2", run).columns[-1].label == "Brier (mean) ↓"
    for name, mass in (("trained", 0.25), ("base", None)):
        file = run / "evaluation" / name / "metrics.json"
        formed = None if mass is None else 0.5
        write_results(
            file, replace(read_results(file), class_mass=mass, well_formed=formed, tokens=mass and 40.0)
        )
    for sheet, row in (("a2", ("CREMA-D", "SFT")), ("all", ("sft_run", "SFT"))):
        found = table(sheet, run)
        assert [column.label for column in found.columns[-3:]] == ["class mass", "well formed", "tokens"]
        assert [cell.written() for cell in named(found)[row].cells[-3:]] == ["25.0%", "50.0%", "40.0"]
        assert any(line.startswith("Class mass: ") for line in found.caption)
    rows = named(found)
    for name in ("uniform", "base"):
        [cells] = [line.cells for names, line in rows.items() if names[0] == name]
        assert [cell.written() for cell in cells[-3:]] == ["–"] * 3
    third = table("a3", run)
    assert [cell.written() for cell in named(third)["in-domain, CREMA-D", "✓", "✓"].cells[-3:]] == [
        "25.0%",
        "50.0%",
        "40.0",
    ]


def test_folds_have_the_mean_of_these_and_none_where_a_fold_lacks_them(make_run: Make) -> None:
    runs = [make_run(f"sft-fold{fold}", 0.5, fold=fold) for fold in range(2)]
    for run, mass in zip(runs, (0.2, 0.4), strict=True):
        file = run / "evaluation/trained/metrics.json"
        write_results(file, replace(read_results(file), class_mass=mass, tokens=mass if mass < 0.3 else None))
    found = table("all", *runs)
    assert found.columns[-1].label == "class mass"
    assert named(found)["sft", "SFT"].cells[-1].written() == "30.0%"


def test_every_cell_of_lalm_table_2_is_the_runs_value_with_its_interval(make_run: Make) -> None:
    run = make_run("sft_run", 0.8)
    line = named(table("a2", run))["CREMA-D", "SFT"]
    kept = read_results(run / "evaluation/trained/metrics.json").metrics
    for cell, name in zip(line.cells, ("js_div_bits", "bc", "r2_pearson_item", "brier_mean"), strict=True):
        assert (cell.value, cell.low, cell.high) == (kept[name].value, kept[name].low, kept[name].high)
        assert cell.rank == 1


def test_what_was_not_given_is_a_gap_with_a_footnote_and_never_a_zero(make_run: Make) -> None:
    sheet = table("a2", make_run("sft_run"))
    lines = named(sheet)
    assert [cell.written() for cell in lines["CREMA-D", "DPO"].cells] == ["–"] * 4
    assert lines["CREMA-D", "DPO"].notes == ("not given on CREMA-D: Audio-Reasoner, DPO, GRPO, GRPOz",)
    assert (
        lines["IEMOCAP", "SFT"].notes[0].startswith("not given on IEMOCAP: Base model, Audio-Reasoner, SFT")
    )
    assert all(cell.value is None for cell in lines["IEMOCAP", "Base model"].cells)


def test_changes_in_shala_table_1_are_relative_to_zero_shot_and_positive_where_better(
    make_run: Make,
) -> None:
    run = make_run("r", 0.9, corpus="chaosnli", model=grpo("Shala", ambiguity=True))
    lines = named(table("b1", run))
    before, after = lines["ChaosNLI", "Zero-shot"].cells, lines["ChaosNLI", "SHALA-LLM"].cells
    distance, overlap = ((b.value, a.value, a.change) for b, a in zip(before[:2], after[:2], strict=True))
    assert distance[2] == pytest.approx((distance[0] - distance[1]) / distance[0]) and distance[2] > 0
    assert overlap[2] == pytest.approx((overlap[1] - overlap[0]) / overlap[0]) and overlap[2] > 0
    assert all(cell.change is None for cell in before)
    assert lines["ChaosNLI", "MLS"].notes == ("not given on ChaosNLI: MLS, SHALA-LLM (w/o Ambi-En)",)


def test_two_zero_shot_rows_leave_no_reference_and_are_refused(make_run: Make, make_evaluated: Make) -> None:
    run = make_run("r", corpus="chaosnli", model=grpo("Shala"))
    again = make_evaluated("zs", answers("chaosnli", 0.4), "chaosnli", policy="omni, base")
    with pytest.raises(InputError, match="table b1: 'base' and 'zs' are both Zero-shot on ChaosNLI"):
        table("b1", run, again)
    assert table("b1", run, again, methods={again: "other"})


def test_literature_stands_in_shala_table_2_unranked_beside_the_own_run(make_run: Make) -> None:
    lines = named(table("b2", make_run("mine", 0.9, corpus="chaosnli", part="snli", model=grpo("Shala"))))
    printed = lines["ChaosNLI-S", "Dist. NLI (Zhou et al. 2022), as printed"]
    assert [cell.written() for cell in printed.cells] == ["0.181", "–", "0.794", "–", "–"]
    assert {cell.rank for cell in printed.cells} == {0}
    below = "\n".join(table("b2").caption)
    assert "From SHALA-LLM (arXiv:2606.05376v1, HTML), Table 2, section 5.1: " in below
    assert (
        "MSP-Podcast, as printed: Quoted there from other papers: TTS-Benchmark (Jia et al. 2026)." in below
    )
    assert lines["ChaosNLI-S", "mine, this report"].cells[0].low is not None


def test_the_papers_own_contradictions_are_footnotes() -> None:
    _, printed = sheets("b1", Report(()))
    notes = {
        (line.names, column.label): cell.notes
        for line in printed.rows
        for column, cell in zip(printed.columns, line.cells, strict=True)
    }
    (note,) = notes[("MSP-Podcast (speech + text)", "SHALA-LLM"), "BC ↑"]
    assert "Table 2 has 0.649" in note


def test_cross_domain_rows_are_in_lalm_table_3_and_not_in_table_2(
    make_run: Make, make_evaluated: Make
) -> None:
    run, short = make_run("cot", 0.7), make_run("short", 0.6, model=KL_ONLY)
    far = make_evaluated(
        "far",
        answers("iemocap", 0.4),
        "iemocap",
        policy="tiny, cot",
        trained_on="crema_d",
        trained_classes=("anger", "sadness"),
    )
    lines = named(table("a3", run, short, far))
    title = "cross-domain, CREMA-D → IEMOCAP"
    assert lines["in-domain, CREMA-D", "✓", "✓"].cells[0].value is not None
    assert lines["in-domain, CREMA-D", "✗", "✓"].cells[0].value is not None
    kept = read_results(far / "metrics.json").metrics["js_div_bits"].value
    assert lines[title, "✓", "✓"].cells[0].value == kept
    assert lines[title, "✗", "✓"].notes == (f"not given {title}: CoT ✗ KL ✓",)
    assert named(table("a2", run, far))["IEMOCAP", "SFT"].cells[0].value is None


def test_people_among_themselves_are_shown_and_not_ranked(make_run: Make, make_evaluated: Make) -> None:
    drawn = [replace(p, label_dist=p.predicted_dist) for p in answers("crema_d", 0.9)]
    panel = make_evaluated("panel", drawn, readout="none", reasoning="none")
    lines = named(table("a2", make_run("r", 0.5), panel))
    assert {cell.rank for cell in lines["CREMA-D", "panel"].cells} == {0}
    assert lines["CREMA-D", "SFT"].cells[0].rank == 1


def test_every_table_is_laid_out_even_where_nothing_fits_it(make_run: Make) -> None:
    found = report(make_run("run", model=SFT))
    for name in table_names():
        for sheet in sheets(name, found):
            assert all(len(line.cells) == len(sheet.columns) for line in sheet.rows)
            assert all(len(line.names) == len(sheet.name_heads) for line in sheet.rows)
