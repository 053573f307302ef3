"""What stands together: rows that appear once, folds made one line, and what is refused or left out."""

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from report_runs import KL_ONLY, SFT, Make, about, answers, keep, named, report, table

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.report import main
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.inputs import ReportArgs, read_inputs
from lalm_ambig.tabular.model import ResultTable


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


def test_two_base_models_that_answer_differently_are_told_apart(make_run: Make) -> None:
    one, other = make_run("one"), make_run("other")
    rows = answers("crema_d", 0.3, seed=5)
    keep(other / "evaluation/base", rows, "crema_d", about("crema_d"))
    assert labels(report(one, other).groups[0]) == ["uniform", "base (one)", "one", "base (other)", "other"]


def test_seeds_of_one_configuration_are_one_line_and_a_single_seed_is_said(make_run: Make) -> None:
    runs = [make_run(f"sft-s{seed}", 0.5 + seed / 10, seed=seed) for seed in (0, 1, 2)]
    alone = make_run("kl", 0.7, model=KL_ONLY, seed=0)
    (group,) = report(*runs, alone).groups
    assert labels(group) == ["uniform", "base", "sft", "kl"]
    line = group.lines[2]
    values = [
        read_results(run / "evaluation/trained/metrics.json").metrics["js_div_bits"].value for run in runs
    ]
    found, spread = line.metric("js_div_bits")
    assert found is not None and found.value == pytest.approx(mean(values))
    assert (
        found.low is not None
        and found.high is not None
        and found.low < min(values) <= max(values) < found.high
    )
    share = line.spreads["js_div_bits"].share_of_seeds
    assert share is not None and 0 < share < 1
    assert spread == pytest.approx(stdev(values)) and line.seeds == (0, 1, 2)
    caption = group.caption()
    assert "sft: mean ± standard deviation over 3 seeds (0, 1, 2)." in caption
    assert (
        f"Of the variance of JS (base 2), seeds make {share:.0%} (sft); the rest is between speakers"
        in " ".join(caption)
    )
    for run in runs[1:]:  # as a folder that was copied without them
        (run / "evaluation/trained/predictions.jsonl").unlink()
    copied = report(*runs, alone).groups[0]
    assert any(
        text.startswith("sft: no interval, since a run's predictions are") for text in copied.caption()
    )
    found, spread = copied.lines[2].metric("js_div_bits")
    assert found is not None and (found.low, spread) == (None, pytest.approx(stdev(values)))
    assert any(text.startswith("One seed: kl. Another seed can change") for text in caption)


def test_seeds_with_folds_are_means_over_folds_and_vary_between_seeds(make_run: Make) -> None:
    weights = {(seed, fold): 0.4 + seed / 10 + fold / 7 for seed in (0, 1) for fold in (0, 1)}
    runs = {
        key: make_run(f"cv-s{key[0]}-fold{key[1]}", weight, seed=key[0], fold=key[1])
        for key, weight in weights.items()
    }
    value = {
        key: read_results(run / "evaluation/trained/metrics.json").metrics["bc"].value
        for key, run in runs.items()
    }
    (group,) = report(*runs.values()).groups
    line = next(line for line in group.lines if line.label == "cv")
    of_seed = [mean([value[seed, fold] for fold in (0, 1)]) for seed in (0, 1)]
    found, spread = line.metric("bc")
    assert found is not None and found.value == pytest.approx(mean(of_seed))
    assert spread == pytest.approx(stdev(of_seed))
    assert (line.seeds, line.folds) == ((0, 1), (0, 1))
    caption = " ".join(group.caption())
    assert "between folds, of several seeds between seeds, no interval." in caption
    assert "with all folds pooled" in caption and "intervals allow" not in caption


def test_an_interval_over_seeds_stays_within_the_bounds_of_its_metric(make_run: Make) -> None:
    runs = [make_run(f"sft-s{seed}", weight, seed=seed) for seed, weight in ((0, 0.0), (1, 1.0))]
    line = next(line for line in report(*runs).groups[0].lines if line.label == "sft")
    found, _ = line.metric("accuracy")
    spread = line.spreads["accuracy"]
    assert spread.value - spread.reach(-1, 0.05) < 0 and spread.value + spread.reach(1, 0.05) > 1
    assert found is not None and (found.low, found.high) == (0.0, 1.0)


def test_evaluated_folds_bring_their_baselines_along(make_run: Make, tmp_path: Path) -> None:
    known = {}
    for fold in (0, 1):
        run, rows = make_run(f"cv-fold{fold}", fold=fold, seed=0), answers("crema_d", 0.5, fold=fold)
        folder = keep(tmp_path / f"e{fold}", rows, "crema_d", about("crema_d", policy=f"tiny, {run.name}"))
        none = about("crema_d", readout="none", reasoning="none", policy="mean")
        keep(folder / "prior", rows, "crema_d", none)
        known[folder] = run
    (group,) = report(*known, runs=known).groups
    assert [(line.label, line.folds) for line in group.lines] == [("e", (0, 1)), ("prior", (0, 1))]


def test_seeds_that_started_from_runs_of_different_methods_are_no_family(make_run: Make) -> None:
    starts = [
        make_run(f"start-{name}-s{seed}", 0.4, model=model, seed=seed)
        for name, model, seed in (("kl", KL_ONLY, 0), ("kl", KL_ONLY, 1), ("sft", SFT, 2))
    ]
    names = [f"next-s{seed}" for seed in (0, 1, 2)]
    runs = [
        make_run(name, 0.6, model=SFT | {"init_args": {**SFT["init_args"], "start": str(start)}}, seed=seed)
        for seed, (name, start) in enumerate(zip(names, starts, strict=True))
    ]
    assert {"next", "next-s2"} <= set(labels(report(*runs).groups[0]))
    gone = [
        make_run(
            f"x-s{seed}",
            0.6,
            model=SFT | {"init_args": {**SFT["init_args"], "start": f"runs/{start}"}},
            seed=seed,
        )
        for seed, start in enumerate(("a-s0", "a-s1", "b-s2"))
    ]
    assert {"x", "x-s2"} <= set(labels(report(*gone).groups[0]))


def test_runs_of_one_configuration_and_seed_on_a_single_split_stay_apart(make_run: Make) -> None:
    runs = [make_run(name, weight, seed=0) for name, weight in (("a", 0.5), ("again", 0.6))]
    assert labels(report(*runs).groups[0]) == ["uniform", "base", "a", "again"]


def test_folds_of_one_configuration_are_one_line_with_mean_and_deviation(make_run: Make) -> None:
    runs = [make_run(f"sft-fold{fold}", 0.5 + fold / 10, fold=fold) for fold in range(3)]
    sheet = table("a2", *runs)
    cell = named(sheet)["CREMA-D", "SFT"].cells[0]
    values = [
        read_results(run / "evaluation/trained/metrics.json").metrics["js_div_bits"].value for run in runs
    ]
    assert cell.value == pytest.approx(mean(values)) and cell.spread == pytest.approx(stdev(values))
    assert cell.low is None
    assert "test split of folds (items) 0 (48), 1 (48), 2 (48)" in sheet.caption[0]
    assert "mean ± standard deviation between folds" in sheet.caption[0]
    assert [line.label for line in report(*runs).groups[0].lines] == ["uniform", "base", "sft"]


def test_a_line_that_lacks_a_fold_is_not_ranked_and_says_so(make_run: Make) -> None:
    runs = [make_run(f"sft-fold{fold}", 0.5, fold=fold) for fold in range(2)]
    sheet = table("all", *runs, make_run("kl-fold0", 0.9, fold=0, model=KL_ONLY))
    assert "kl-fold0: only fold 0, so it is not ranked." in sheet.caption
    assert {cell.rank for cell in named(sheet)["kl-fold0", "SFT, KL only"].cells} == {0}


def test_a_seed_that_lacks_a_fold_of_another_is_not_ranked_and_says_so(make_run: Make) -> None:
    def ranks(sheet: ResultTable) -> set[int]:
        return {cell.rank for row in sheet.rows if row.names[0] == "sft" for cell in row.cells}

    places = [(0, 0), (0, 1), (1, 0)]
    runs = [make_run(f"sft-s{seed}-fold{fold}", 0.9, seed=seed, fold=fold) for seed, fold in places]
    sheet = table("all", *runs)
    assert any(
        line.startswith("sft: UNFINISHED, seed 1 has no fold 1: its mean is of other items")
        for line in sheet.caption
    )
    assert ranks(sheet) == {0}
    whole = table("all", *runs, make_run("sft-s1-fold1", 0.9, seed=1, fold=1))
    assert "UNFINISHED" not in " ".join(whole.caption)
    assert 1 in ranks(whole)


def test_the_notes_of_every_seed_are_there_with_the_seeds_that_they_are_about(make_run: Make) -> None:
    runs = [make_run(f"sft-s{seed}", 0.5, seed=seed) for seed in (0, 1)]
    for seed, run in enumerate(runs):
        path = run / "evaluation/trained/metrics.json"
        found = json.loads(path.read_text("utf-8"))
        found["notes"] = ["said of all", *(["4 could not be read"] if seed else [])]
        path.write_text(json.dumps(found), "utf-8")
    caption = " ".join(report(*runs).groups[0].caption())
    assert "sft: said of all." in caption and "sft: seed 1: 4 could not be read." in caption


def test_a_family_is_named_by_its_places(make_run: Make, tmp_path: Path) -> None:
    runs = [make_run(f"sft-s{seed}", 0.5, seed=seed) for seed in (0, 1)]
    by_name = report(runs[0].parent / "sft-s{seed}").groups[0]
    assert by_name.lines == report(*runs).groups[0].lines
    inner = report(runs[0].parent / "sft-s{seed}/evaluation/trained").groups[0].lines
    assert [line.label for line in inner] == ["trained (sft)"]
    for seed in (0, 1, 2):  # as evaluate writes them, of runs that are elsewhere
        rows = answers("crema_d", 0.5, seed=seed)
        keep(tmp_path / f"e/kl-s{seed}", rows, "crema_d", about("crema_d", policy=f"tiny, kl-s{seed}"))
    (line,) = report(tmp_path / "e/kl-s{seed}").groups[0].lines
    assert (line.label, line.seeds) == ("kl", (0, 1, 2)) and line.spreads
    twice = report(tmp_path / "e/kl-s{seed}", tmp_path / "e/kl-s1").groups[0].lines
    assert [line.seeds for line in twice] == [(0, 1, 2)], "a member that is named alone, too, keeps its place"
    assert len(report(*sorted((tmp_path / "e").iterdir())).groups[0].lines) == 3, "their seeds are not known"
    for fold in (0, 1):
        rows = answers("crema_d", 0.5, fold=fold)
        keep(tmp_path / f"f/kl-fold{fold}", rows, "crema_d", about("crema_d", policy=f"tiny, kl-fold{fold}"))
    (line,) = report(tmp_path / "f/kl-fold{fold}").groups[0].lines
    assert (line.label, line.seeds, line.folds) == ("kl", (), (0, 1))
    with pytest.raises(InputError, match=rf"Give the folders in it, as {tmp_path}/e/kl-s0, or a family"):
        report(tmp_path / "e")


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
    why = "young is left out: its trained policy has not been evaluated yet, so wait for its end"
    assert found.left_out == [why]
    with pytest.raises(InputError, match="young is left out"):
        main([str(unfinished), "--out", str(tmp_path / "out")])


def test_a_run_that_has_only_validation_results_is_left_out_and_says_how_it_is_tested(
    make_run: Make, tmp_path: Path
) -> None:
    run = make_run("young")
    (run / "results.md").write_text("")
    (run / "evaluation").rename(tmp_path / "rows")
    (run / "evaluation").mkdir()
    (tmp_path / "rows").rename(run / "evaluation/validation")
    why = "young is left out, since it has no test results: run its fit again with --test"
    assert report(make_run("run"), run).left_out == [why]
    with pytest.raises(InputError, match=f"report: {why}[.]$"):
        main([str(run), "--out", str(tmp_path / "out")])
    (run / "evaluation").rename(tmp_path / "away")
    gone = "young is left out: it is finished, but its folder evaluation is gone; evaluate it again"
    assert report(make_run("next"), run).left_out == [gone]
    (tmp_path / "away").rename(run / "evaluation")
    validated = read_inputs(ReportArgs([run, make_run("other", 0.3)], split="validation"))
    assert [row.label for row in validated.rows if row.run] == ["young"]
    assert [line.split(":")[0] for line in validated.left_out] == ["other is left out"]
