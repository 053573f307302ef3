"""Tables from run folders: which cells, which gaps, what appears once, and what is refused."""

from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from report_runs import SFT, Make, about, answers, keep

from lalm_ambig.baselines.base import DRAWN_TARGET
from lalm_ambig.errors import InputError
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.report import main
from lalm_ambig.reporting.groups import Group, grouped
from lalm_ambig.reporting.inputs import Asked, read_inputs
from lalm_ambig.reporting.placing import placed
from lalm_ambig.reporting.report import Report
from lalm_ambig.reporting.sheet import Sheet, SheetLine
from lalm_ambig.reporting.tables import sheets, table_names
from lalm_ambig.reporting.writing import markdown

KL_ONLY: dict[str, Any] = {
    "class_path": "lalm_ambig.methods.sft.SFT",
    "init_args": {"objective": {"ce_weight": 0.0, "kl_weight": 1.0}, "reasoning": False},
}


def grpo(reward: str, **settings: Any) -> dict[str, Any]:
    rewards = [{"class_path": f"lalm_ambig.rewards.x.{reward}", "init_args": settings}]
    return {"class_path": "lalm_ambig.methods.grpo.GRPO", "init_args": {"rewards": rewards, "curated": None}}


def report(*paths: Path, **asked: Any) -> Report:
    read = read_inputs(Asked(paths, **asked))
    return Report(grouped(placed(read.rows)), read.left_out)


def table(name: str, *paths: Path, **asked: Any) -> Sheet:
    return sheets(name, report(*paths, **asked))[0]


def named(sheet: Sheet) -> dict[tuple[str, ...], SheetLine]:
    found = {line.names: line for line in sheet.lines}
    assert len(found) == len(sheet.lines)
    return found


def labels(group: Group) -> list[str]:
    return [line.label for line in group.lines]


def test_baselines_that_all_runs_share_appear_once_and_trained_rows_each(make_run: Make) -> None:
    (group,) = report(make_run("one", 0.5), make_run("other", 0.7)).groups
    assert labels(group) == ["uniform", "base", "one", "other"]


def test_a_policy_before_training_that_is_another_run_is_not_repeated(make_run: Make) -> None:
    first, second = make_run("first", 0.5), make_run("second", 0.7)
    rows = answers("crema_d", 0.5, seed=len("first"))
    keep(second / "evaluation/start", rows, "crema_d", about("crema_d"))
    assert labels(report(first, second).groups[0]) == ["uniform", "base", "first", "second"]
    assert "start of second" in labels(report(second).groups[0])


def test_a_base_model_that_scores_as_a_trained_one_keeps_its_row(make_run: Make) -> None:
    """As where neither wrote anything that could be read."""
    run = make_run("first", 0.5)
    keep(run / "evaluation/base", answers("crema_d", 0.5, seed=len("first")), "crema_d", about("crema_d"))
    assert labels(report(run).groups[0]) == ["uniform", "base", "first"]


def test_a_papers_table_shows_what_could_be_read(make_run: Make) -> None:
    run = make_run("words", corpus="chaosnli", readout="verbalised")
    found = table("b1", run)
    assert found.columns[-1].label == "parsed"
    assert "100.0%" in markdown(found)
    assert "parsed" not in [
        column.label for column in table("b1", make_run("logits", corpus="chaosnli")).columns
    ]


def test_two_base_models_that_answer_differently_are_told_apart(make_run: Make) -> None:
    one, other = make_run("one"), make_run("other")
    rows = answers("crema_d", 0.3, seed=5)
    keep(other / "evaluation/base", rows, "crema_d", about("crema_d"))
    assert labels(report(one, other).groups[0]) == ["uniform", "base (one)", "one", "base (other)", "other"]


def test_every_cell_of_paper_a_table_2_is_the_runs_value_with_its_interval(make_run: Make) -> None:
    run = make_run("sft_run", 0.8)
    line = named(table("a2", run))["CREMA-D", "SFT"]
    kept = read_results(run / "evaluation/trained/metrics.json").metrics
    for entry, name in zip(line.entries, ("js_div_bits", "bc", "r2_pearson_item", "brier_mean"), strict=True):
        assert (entry.value, entry.low, entry.high) == (kept[name].value, kept[name].low, kept[name].high)
        assert entry.rank == 1


def test_what_was_not_given_is_a_gap_with_a_footnote_and_never_a_zero(make_run: Make) -> None:
    sheet = table("a2", make_run("sft_run"))
    lines = named(sheet)
    assert [entry.written() for entry in lines["CREMA-D", "DPO"].entries] == ["–"] * 4
    assert lines["CREMA-D", "DPO"].notes == ("not given on CREMA-D: Audio-Reasoner, DPO, GRPO, GRPOz",)
    assert (
        lines["IEMOCAP", "SFT"].notes[0].startswith("not given on IEMOCAP: Base model, Audio-Reasoner, SFT")
    )
    assert all(entry.value is None for entry in lines["IEMOCAP", "Base model"].entries)


def test_changes_in_paper_b_table_1_are_relative_to_zero_shot_and_positive_where_better(
    make_run: Make,
) -> None:
    run = make_run("r", 0.9, corpus="chaosnli", model=grpo("Shala", ambiguity=True))
    lines = named(table("b1", run))
    before, after = lines["ChaosNLI", "Zero-shot"].entries, lines["ChaosNLI", "SHALA-LLM"].entries
    distance, overlap = ((b.value, a.value, a.change) for b, a in zip(before[:2], after[:2], strict=True))
    assert distance[2] == pytest.approx((distance[0] - distance[1]) / distance[0]) and distance[2] > 0
    assert overlap[2] == pytest.approx((overlap[1] - overlap[0]) / overlap[0]) and overlap[2] > 0
    assert all(entry.change is None for entry in before)
    assert lines["ChaosNLI", "MLS"].notes == ("not given on ChaosNLI: MLS, SHALA-LLM (w/o Ambi-En)",)


def test_two_zero_shot_rows_leave_no_reference_and_are_refused(make_run: Make, make_evaluated: Make) -> None:
    run = make_run("r", corpus="chaosnli", model=grpo("Shala"))
    again = make_evaluated("zs", answers("chaosnli", 0.4), "chaosnli", policy="omni, base")
    with pytest.raises(InputError, match="table b1: 'base' and 'zs' are both Zero-shot on ChaosNLI"):
        table("b1", run, again)
    assert table("b1", run, again, methods={again: "other"})


def test_literature_stands_in_paper_b_table_2_unranked_beside_the_own_run(make_run: Make) -> None:
    lines = named(table("b2", make_run("mine", 0.9, corpus="chaosnli", part="snli", model=grpo("Shala"))))
    printed = lines["ChaosNLI-S", "Dist. NLI (Zhou et al. 2022), as printed"]
    assert [entry.written() for entry in printed.entries] == ["0.181", "–", "0.794", "–", "–"]
    assert {entry.rank for entry in printed.entries} == {0}
    assert lines["ChaosNLI-S", "mine, this report"].entries[0].low is not None


def test_the_papers_own_contradictions_are_footnotes() -> None:
    _, printed = sheets("b1", Report(()))
    notes = {
        (line.names, column.label): entry.notes
        for line in printed.lines
        for column, entry in zip(printed.columns, line.entries, strict=True)
    }
    (note,) = notes[("MSP-Podcast (speech + text)", "SHALA-LLM"), "BC ↑"]
    assert "Table 2 has 0.649" in note


def test_cross_domain_rows_are_in_paper_a_table_3_and_not_in_table_2(
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
    assert lines["in-domain, CREMA-D", "✓", "✓"].entries[0].value is not None
    assert lines["in-domain, CREMA-D", "✗", "✓"].entries[0].value is not None
    kept = read_results(far / "metrics.json").metrics["js_div_bits"].value
    assert lines[title, "✓", "✓"].entries[0].value == kept
    assert lines[title, "✗", "✓"].notes == (f"not given {title}: CoT ✗ KL ✓",)
    assert named(table("a2", run, far))["IEMOCAP", "SFT"].entries[0].value is None


def test_folds_of_one_configuration_are_one_line_with_mean_and_deviation(make_run: Make) -> None:
    runs = [make_run(f"sft-fold{fold}", 0.5 + fold / 10, fold=fold) for fold in range(3)]
    sheet = table("a2", *runs)
    entry = named(sheet)["CREMA-D", "SFT"].entries[0]
    values = [
        read_results(run / "evaluation/trained/metrics.json").metrics["js_div_bits"].value for run in runs
    ]
    assert entry.value == pytest.approx(mean(values)) and entry.spread == pytest.approx(stdev(values))
    assert entry.low is None
    assert "test split of folds (items) 0 (48), 1 (48), 2 (48)" in sheet.caption[0]
    assert "mean ± standard deviation between folds" in sheet.caption[0]
    assert [line.label for line in report(*runs).groups[0].lines] == ["uniform", "base", "sft"]


def test_a_line_that_lacks_a_fold_is_not_ranked_and_says_so(make_run: Make) -> None:
    runs = [make_run(f"sft-fold{fold}", 0.5, fold=fold) for fold in range(2)]
    sheet = table("all", *runs, make_run("kl-fold0", 0.9, fold=0, model=KL_ONLY))
    assert "kl-fold0: only fold 0, so it is not ranked." in sheet.caption
    assert {entry.rank for entry in named(sheet)["kl-fold0", "SFT, KL only"].entries} == {0}


def test_people_among_themselves_are_shown_and_not_ranked(make_run: Make, make_evaluated: Make) -> None:
    panel = make_evaluated("panel", answers("crema_d", 1.0), readout="none", reasoning="none")
    results = read_results(panel / "metrics.json")
    write_results(panel / "metrics.json", replace(results, notes=(DRAWN_TARGET, *results.notes)))
    lines = named(table("a2", make_run("r", 0.5), panel))
    assert {entry.rank for entry in lines["CREMA-D", "panel"].entries} == {0}
    assert lines["CREMA-D", "SFT"].entries[0].rank == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"split": "validation"}, "'run' and 'bad' differ in split: test and validation"),
        ({"readout": "verbalised"}, "'base' and 'bad' differ in readout: logits and verbalised"),
    ],
)
def test_another_split_or_readout_is_refused_with_the_difference(
    make_run: Make, make_evaluated: Make, changed: dict[str, Any], message: str
) -> None:
    bad = make_evaluated("bad", answers("crema_d", 0.5), **changed)
    with pytest.raises(InputError, match=message.replace("'run'", "'uniform'")):
        report(make_run("run"), bad)


def test_other_items_of_the_same_corpus_are_refused(make_run: Make, make_evaluated: Make) -> None:
    with pytest.raises(InputError, match="differ in number of items: 48 and 30"):
        report(make_run("run"), make_evaluated("bad", answers("crema_d", 0.5, count=30)))


def test_a_single_split_beside_folds_is_refused(make_run: Make) -> None:
    with pytest.raises(InputError, match="differ in fold: CREMA-D in a single split, and in folds"):
        report(make_run("whole"), make_run("fold", fold=1))


def test_the_same_configuration_twice_in_one_fold_is_refused(make_run: Make) -> None:
    with pytest.raises(InputError, match="'a' and 'bb' are one configuration in the same fold 1"):
        report(make_run("a", fold=1), make_run("bb", 0.3, fold=1))


def test_a_run_that_has_not_been_evaluated_is_left_out_and_named(make_run: Make, tmp_path: Path) -> None:
    unfinished = tmp_path / "runs" / "young"
    unfinished.mkdir(parents=True)
    (unfinished / "config.yaml").write_text("model: {}\n")
    found = report(make_run("run"), unfinished)
    assert found.left_out == ["young is left out: its trained policy has not been evaluated yet"]
    with pytest.raises(InputError, match="young is left out"):
        main([str(unfinished), "--out", str(tmp_path / "out")])


def test_every_table_is_laid_out_even_where_nothing_fits_it(make_run: Make) -> None:
    found = report(make_run("run", model=SFT))
    for name in table_names():
        for sheet in sheets(name, found):
            assert all(len(line.entries) == len(sheet.columns) for line in sheet.lines)
            assert all(len(line.names) == len(sheet.name_heads) for line in sheet.lines)
