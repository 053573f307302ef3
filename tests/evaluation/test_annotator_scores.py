"""Scores of single annotators by hand, what they make together, intervals, the file and the table."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.annotator_scores import TOGETHER, of_items
from lalm_ambig.evaluation.annotator_table import MOST_FREQUENT, annotator_table, result_tables
from lalm_ambig.evaluation.predictions import Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.reporting.reading.inputs import ReportArgs, read_inputs
from lalm_ambig.runs.evaluation import score_and_save

CLASSES = CategorySet(("no", "yes"))
METRICS = ("manhattan", "soft_accuracy", "js_div_bits", "accuracy", "f1_macro")
NO, YES = (1.0, 0.0), (0.0, 1.0)
ABOUT = About("jsonl", "test", "none", "none", "a baseline", table_metrics=METRICS)


def rating(
    item: str, annotator: str, label: tuple[float, float], predicted: tuple[float, float], **more: object
) -> Prediction:
    votes = {"votes": label, **more}
    return Prediction(  # type: ignore[arg-type]
        f"{item}@{annotator}",
        "test",
        None,
        label_dist=label,
        predicted_dist=predicted,
        annotator=annotator,
        **votes,
    )


RATINGS = [
    rating("a", "x", YES, (0.2, 0.8)),
    rating("a", "y", NO, (0.4, 0.6)),
    rating("b", "x", NO, (0.9, 0.1)),
    rating("b", "y", NO, (0.3, 0.7)),
    rating("b", "z", YES, (0.0, 1.0)),
]


def scored(ratings: Sequence[Prediction], about: About = ABOUT) -> Results:
    return evaluate_predictions(ratings, CLASSES, about=about)


def test_errors_are_means_over_items_and_accuracies_over_ratings_and_annotators() -> None:
    found = scored(RATINGS).annotators
    assert found is not None
    assert (found.items, found.annotators, found.error_kind) == (2, 3, "rate")
    assert found.error.value == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found.accuracy.value == pytest.approx(3 / 5)
    assert found.accuracy_by_annotator.value == pytest.approx((1 + 0 + 1) / 3)
    assert found.error.high is None  # of two items nothing is known


def test_together_the_answers_are_their_mean_against_all_votes() -> None:
    a, b = of_items(RATINGS)
    assert (a.id, a.votes, a.label_dist, a.annotator) == ("a", (1.0, 1.0), (0.5, 0.5), None)
    assert a.predicted_dist == pytest.approx((0.3, 0.7))
    assert (b.votes, b.predicted_dist) == ((2.0, 1.0), pytest.approx((0.4, 0.6)))
    found = scored(RATINGS).annotators
    assert found is not None
    assert found.together["manhattan"].value == pytest.approx((0.4 + 2 * (2 / 3 - 0.4)) / 2)
    assert tuple(found.together) == METRICS


def test_two_labels_of_one_annotator_are_no_two_draws() -> None:
    both = [rating(item, "x", (0.5, 0.5), YES, votes=(1.0, 1.0)) for item in "abc"]
    metrics = scored([*both, *RATINGS[2:]]).metrics
    assert math.isnan(metrics["brier_mean_unbiased"].value)
    assert metrics["brier_mean"].value > 0


def test_an_answer_that_could_not_be_read_is_missed_and_none_of_an_item_is_unread() -> None:
    unread = [rating("a", who, NO, (0.5, 0.5), unparsed="no object") for who in ("x", "y")]
    found = scored([*unread, *RATINGS[2:]]).annotators
    assert found is not None
    assert found.error.value == pytest.approx((1 + 1 / 3) / 2)
    assert [row.unparsed for row in of_items([*unread, *RATINGS[2:]])] == ["no object", None]
    assert of_items([unread[0], RATINGS[1], *RATINGS[2:]])[0].unparsed is None


def test_sampled_answers_are_not_scored_together() -> None:
    sampled = [rating(f"{n}", "x", NO, (0.5, 0.5), labels=2) for n in range(3)]
    about = About("jsonl", "test", "sampled", "direct", "p", table_metrics=METRICS, samples=2, sampled_at=1.0)
    found = scored(sampled, about).annotators
    assert found is not None
    assert found.together == {}


def test_intervals_are_over_items_whatever_the_number_of_ratings() -> None:
    many = [rating(f"i{n}", who, NO if n % 3 else YES, (0.6, 0.4)) for n in range(12) for who in "xyz"]
    found = scored(many)
    assert (found.items, found.clusters, found.n_clusters) == (36, "items", 12)
    alone = scored([one for one in many if one.annotator == "x"])
    assert found.annotators is not None
    assert alone.annotators is not None
    assert found.annotators.error == alone.annotators.error  # copies of an item's rating say nothing new
    assert found.metrics["manhattan"].high == pytest.approx(alone.metrics["manhattan"].high)
    few = scored(many[:27])  # nine items
    assert "no interval: 9 items" in few.notes


def test_answers_for_one_and_for_all_annotators_are_not_mixed() -> None:
    together = Prediction("c", "test", None, NO, NO, NO)
    with pytest.raises(InputError, match=r"item c is answered for all annotators together, and a@x for one"):
        scored([*RATINGS, together])


def test_files_keep_annotators_and_scores_and_older_ones_have_none(tmp_path: Path) -> None:
    write_predictions(tmp_path / "predictions.jsonl", RATINGS)
    assert read_predictions(tmp_path / "predictions.jsonl") == RATINGS
    results = scored(RATINGS)
    write_results(tmp_path / "metrics.json", results)
    assert read_results(tmp_path / "metrics.json").annotators == results.annotators
    plain = evaluate_predictions(of_items(RATINGS), CLASSES, about=ABOUT)
    assert plain.annotators is None


def test_saving_also_writes_what_the_answers_make_together(tmp_path: Path) -> None:
    score_and_save(tmp_path, RATINGS, CLASSES, about=ABOUT)
    assert read_predictions(tmp_path / TOGETHER / "predictions.jsonl") == of_items(RATINGS)
    together = read_results(tmp_path / TOGETHER / "metrics.json")
    assert together.annotators is None
    assert together.items == 2
    assert together.about.policy == "a baseline, mean over annotators"


def test_a_report_of_these_folders_passes_over_what_they_make_together(tmp_path: Path) -> None:
    for name in ("one", "two"):
        score_and_save(tmp_path / name, RATINGS, CLASSES, about=ABOUT)
    rows = read_inputs(ReportArgs([tmp_path / "one", tmp_path / "two"])).rows
    assert [row.folder.name for row in rows] == ["one", "two"]
    together = read_inputs(ReportArgs([tmp_path / "one" / TOGETHER])).rows
    assert [row.results.items for row in together] == [2]


def test_the_table_has_the_error_and_says_whether_a_policy_beats_the_annotator_s_most_frequent_class() -> (
    None
):
    policy = About("jsonl", "test", "logits", "direct", "p", table_metrics=METRICS)
    results = {MOST_FREQUENT: scored(RATINGS), "trained": scored(RATINGS, policy)}
    main, below = result_tables(results)
    assert main.caption[0].startswith("jsonl, test split, 5 ratings of 2 items by 3 annotators;")
    assert [column.label for column in below.columns[:3]] == [
        "Error rate ↓",
        "Acc. by rating ↑",
        "Acc. by annotator ↑",
    ]
    assert below.caption[-1] == f"trained: its error is not lower than that of {MOST_FREQUENT}, by +0.000."
    right = [rating(p.judged, str(p.annotator), p.votes, p.votes) for p in RATINGS]  # type: ignore[arg-type]
    table = annotator_table({MOST_FREQUENT: scored(RATINGS), "trained": scored(right, policy)})
    assert table is not None
    assert table.caption[-1] == f"trained: its error is lower than that of {MOST_FREQUENT}, by +0.417."
    many = [replace(p, id=f"{n}{p.id}") for n in range(20) for p in RATINGS]
    better = [replace(p, predicted_dist=p.label_dist) for p in many]
    table = annotator_table({MOST_FREQUENT: scored(many), "trained": scored(better, policy)})
    assert table is not None
    line = re.search(
        r"lower than that of \S+, by \+(\S+) \(\+(\S+) to \+(\S+), paired\)\.", table.caption[-1]
    )
    assert line is not None
    low, value, high = float(line[2]), float(line[1]), float(line[3])
    assert 0 < low < value < high
    plain = evaluate_predictions(of_items(RATINGS), CLASSES, about=ABOUT)
    assert annotator_table({"plain": plain}) is None
