"""What stands below tables and figures: one consistent sentence on intervals, warnings, and where curves come from."""

from dataclasses import replace
from typing import Any

import pytest
from report_runs import Make, about, answers, evaluated, keep, report

from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.table import caption
from lalm_ambig.reporting.drawing.draw import drawings
from lalm_ambig.reporting.reading.inputs import ReportArgs, read_inputs
from lalm_ambig.reporting.writing.page import page


def of_one_speaker(count: int) -> list[Prediction]:
    return [replace(p, speaker="s") for p in answers("crema_d", 0.5, count=count)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (of_one_speaker(20), "no intervals, which take at least 2 speakers: 1 speaker."),
        (answers("crema_d", 0.5, count=9), "no intervals, which take at least 10 items: 9 items."),
        (answers("crema_d", 0.5), "95% intervals over 8 speakers."),
    ],
)
def test_a_caption_says_once_what_the_intervals_are_from_or_why_there_are_none(
    rows: list[Prediction], said: str, make_evaluated: Make
) -> None:
    results = evaluated(tuple(rows), "crema_d", about("crema_d"))
    text = caption({"one": results, "other": results})
    assert text.splitlines()[0].endswith(said)
    assert text.count("interval") == 1 and "no interval:" not in text
    shown = page(report(make_evaluated("run", rows)), [], [])
    assert said.split(" from ")[0] in shown and ("% intervals" in shown) is (len(rows) == 48)


def test_rank_tests_warn_only_where_items_have_speakers(make_run: Make) -> None:
    spoken, written = (
        next(drawings("b_levels", report(make_run(c, corpus=c)))) for c in ("crema_d", "chaosnli")
    )
    assert "Items of one speaker are not independent, and these tests take them as if" in spoken.caption
    assert "speaker" not in written.caption


def test_learning_curves_name_their_files_and_the_runs_without_one(make_run: Make) -> None:
    with_log, without = make_run("logged"), make_run("silent", 0.3)
    (with_log / "metrics.csv").write_text("step,train/loss\n4,2.5\n9,1.5\n")
    (drawing,) = drawings("learning", report(with_log, without))
    assert drawing.caption.endswith("From logged: logged/metrics.csv. Without such a file: silent.")


@pytest.mark.parametrize(("changed", "share"), [({}, 0.0), ({"samples": 4}, None)])
def test_the_share_of_closed_responses_is_left_out_where_only_the_first_of_several_is_kept(
    changed: dict[str, Any], share: float | None
) -> None:
    assert (
        evaluated(tuple(answers("crema_d", 0.5)), "crema_d", about("crema_d", **changed)).share_closed
        == share
    )


def test_the_part_that_evaluate_kept_says_which_corpus_a_folder_is_of(
    make_run: Make, make_evaluated: Make
) -> None:
    """Trained on one part, asked about another; baselines beside it of before the part was kept go with it."""
    run = make_run("nli", 0.6, corpus="chaosnli", part="snli")
    rows = answers("chaosnli", 0.5, count=40)
    far = about("chaosnli", policy="tiny, nli", trained_on="chaosnli (snli)", part="mnli")
    folder = make_evaluated("far", rows, "chaosnli")
    keep(folder, rows, "chaosnli", replace(far, trained_classes=("entailment", "neutral", "contradiction")))
    keep(folder / "prior", rows, "chaosnli", about("chaosnli", readout="none", reasoning="none"))
    groups = report(run, folder).groups
    assert [(g.title, [line.label for line in g.lines]) for g in groups] == [
        ("ChaosNLI-S", ["uniform", "base", "nli"]),
        ("ChaosNLI-M", ["far", "prior"]),
    ]


def test_a_run_on_another_target_was_trained_on_that_target(make_run: Make) -> None:
    """`about.part` is a target where the corpus has no parts, and no key `part` of the configuration repeats it."""
    run = make_run("face", 0.6)
    rows = answers("crema_d", 0.6, seed=4)
    keep(run / "evaluation/trained", rows, "crema_d", about("crema_d", policy="tiny, face", part="face"))
    trained = [row for row in read_inputs(ReportArgs([run])).rows if row.run is not None]
    assert [(row.part, row.trained_on) for row in trained] == [("face", None)]


def test_a_target_beside_a_part_is_no_other_part(make_run: Make) -> None:
    """`about.part` is `crowd, votes for other ignored` where a corpus with parts has a target, too."""
    run = make_run("nli", 0.6, corpus="chaosnli", part="snli")
    for part, trained_on in (("snli, some votes", None), ("mnli, some votes", "chaosnli, snli")):
        rows = answers("chaosnli", 0.6, seed=4)
        keep(run / "evaluation/trained", rows, "chaosnli", about("chaosnli", policy="tiny, nli", part=part))
        trained = [row for row in read_inputs(ReportArgs([run])).rows if row.run is not None]
        assert [(row.part, row.trained_on) for row in trained if row.part == part] == [(part, trained_on)]
