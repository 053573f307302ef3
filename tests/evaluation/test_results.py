"""Results of a set of predictions: values, break-downs, notes, and the file they are kept in."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import LALM_METRICS, SHALA_METRICS
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results, clusters_of, evaluate_predictions, items_digest
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.evaluation.table import main_table
from lalm_ambig.metrics.base import all_metrics


def hand_made(
    *votes: tuple[float, ...], predicted: tuple[float, ...], speaker: str | None
) -> list[Prediction]:
    return [
        Prediction(f"{n} {row}", "test", speaker, row, tuple(v / sum(row) for v in row), predicted)
        for n, row in enumerate(votes)
    ]


def test_every_metric_has_its_value_and_an_interval_over_speakers(
    predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    results = evaluate_predictions(predictions, categories, about=about)
    assert set(results.metrics) == {metric.name for metric in all_metrics(3, ordered=False)}
    for metric in all_metrics(3, ordered=False):
        interval = results.metrics[metric.name]
        if metric.kind == "mean":
            assert interval.low is not None and interval.high is not None
            assert interval.low <= interval.value <= interval.high
        else:  # four speakers are too few for a ratio
            assert (interval.low, interval.high) == (None, None)
    js = results.metrics["js_div_bits"]
    assert js.low is not None and js.high is not None
    assert js.low < js.value < js.high
    assert (results.clusters, results.n_clusters, results.intervals) == ("speakers", 4, "jackknife")
    assert (results.items, results.categories) == (60, ("anger", "neutral", "sadness"))
    assert results.class_mass == pytest.approx(0.5 + 29.5 / 200)
    assert results.share_closed == pytest.approx(1 / 3)
    assert (
        "f1_macro has no interval: a ratio of sums takes at least 8 speakers, and there are 4"
        in results.notes
    )
    assert any(note.startswith("ece_human has no interval: its bins") for note in results.notes)
    assert len(results.notes) == sum(metric.kind != "mean" for metric in all_metrics(3)) + 1
    alone = sum(sum(p.votes) < 2 for p in predictions)
    assert alone and (
        f"brier_mean_unbiased leaves out {alone} of 60 items: it needs two whole votes or more"
        in results.notes
    )


def test_intervals_are_over_items_where_no_speaker_is_known(
    predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    unknown = [replace(p, speaker=None, class_mass=None, closed=None) for p in predictions]
    results = evaluate_predictions(unknown, categories, about=about)
    assert (results.clusters, results.n_clusters) == ("items", 60)
    assert (results.class_mass, results.share_closed) == (None, None)
    assert all(note.startswith(("ece_", "brier_mean_unbiased leaves out")) for note in results.notes)
    assert results.metrics["f1_macro"].low is not None


def test_an_unknown_speaker_among_known_ones_stands_for_itself(predictions: list[Prediction]) -> None:
    some = [replace(p, speaker=None) if n < 3 else p for n, p in enumerate(predictions)]
    assert clusters_of(some, "demo").indices(60)[1] == 3 + 4
    # even where a speaker is called as an item is
    twins = [replace(predictions[0], id="x", speaker=None), replace(predictions[1], id="y", speaker="x")]
    assert clusters_of(twins, "demo").indices(2)[1] == 2


def test_a_corpus_can_name_larger_groups_than_speakers(
    predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    pairs = [replace(p, speaker=f"0{1 + n % 4}{'FM'[n // 4 % 2]}") for n, p in enumerate(predictions)]
    clusters = clusters_of(pairs, "iemocap")
    assert (clusters.unit, clusters.indices(60)[1]) == ("sessions", 4)
    assert (
        clusters_of(pairs, "demo").indices(60)[1]
        == clusters_of(pairs, "a corpus of theirs").indices(60)[1]
        == 8
    )
    results = evaluate_predictions(pairs, categories, about=replace(about, corpus="iemocap"))
    assert (results.clusters, results.n_clusters) == ("sessions", 4)
    assert any("at least 8 sessions, and there are 4" in note for note in results.notes)
    alone = [p for p in pairs if p.speaker in ("01F", "01M")]
    results = evaluate_predictions(alone, categories, about=replace(about, corpus="iemocap"))
    assert results.notes[0] == "no interval: 1 session"
    assert all(one.low is None for one in results.metrics.values())


def test_break_downs_by_hand() -> None:
    votes = [(10.0, 0.0, 0.0, 0.0)] * 3  # H̃ = 0
    votes += [(9.0, 1.0, 0.0, 0.0)]  # 0.234: low
    votes += [(4.0, 6.0, 0.0, 0.0)]  # 0.485: medium
    votes += [(4.0, 4.0, 2.0, 0.0)]  # 0.761: high, tie to the first class
    votes += [(1.0, 1.0, 1.0, 7.0)]  # 0.678: high
    four = CategorySet(("a", "b", "c", "d"))
    predictions = hand_made(*votes, predicted=(0.7, 0.1, 0.1, 0.1), speaker=None)
    results = evaluate_predictions(predictions, four, about=About("x", "test", "none", "none", "prior"))
    assert {k: v.items for k, v in results.by_ambiguity.items()} == {"low": 4, "medium": 1, "high": 2}
    assert {k: v.items for k, v in results.by_active_labels.items()} == {"1": 3, "2": 2, "3": 1, "4+": 1}
    assert {k: v.items for k, v in results.by_majority.items()} == {"a": 5, "b": 1, "c": 0, "d": 1}
    assert tuple(results.by_ambiguity["low"].metrics) == LALM_METRICS
    assert results.by_ambiguity["low"].metrics["brier_mean"].value == pytest.approx(
        (3 * (0.09 + 0.03) + (0.04 + 0.0 + 0.02)) / 16
    )
    assert results.by_majority["d"].metrics["accuracy"].value == 0
    assert results.by_majority["c"].metrics == {}
    assert results.by_majority["c"].note == "no item"


def test_break_downs_follow_the_votes_where_the_target_was_drawn(
    predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    drawn = [replace(p, label_dist=(1.0, 0.0, 0.0)) for p in predictions]
    before, after = (evaluate_predictions(rows, categories, about=about) for rows in (predictions, drawn))
    assert {k: v.items for k, v in before.by_majority.items()} == {
        k: v.items for k, v in after.by_majority.items()
    }
    assert before.items_digest == after.items_digest
    assert after.by_ambiguity["low"].items < 60


def test_a_part_with_few_items_or_one_speaker_has_no_interval_and_says_so() -> None:
    two = CategorySet(("a", "b"))
    votes = [(5.0, 0.0)] * 12 + [(3.0, 2.0)] * 4
    predictions = hand_made(*votes, predicted=(0.6, 0.4), speaker="s")
    predictions = [
        replace(p, speaker=f"speaker {n % 3}") if n >= 12 else p for n, p in enumerate(predictions)
    ]
    results = evaluate_predictions(predictions, two, about=About("x", "test", "none", "none", "prior"))
    low, high = results.by_ambiguity["low"], results.by_ambiguity["high"]
    assert (low.items, low.note, low.metrics["bc"].low) == (12, "no interval: 1 speaker", None)
    assert (high.items, high.note, high.metrics["bc"].low) == (4, "no interval: 4 items", None)
    assert high.metrics["bc"].value == pytest.approx(1)


def test_notes_name_values_that_are_infinite_or_undefined() -> None:
    predictions = hand_made(*[(1.0, 1.0)] * 12, predicted=(1.0, 0.0), speaker=None)
    results = evaluate_predictions(
        predictions, CategorySet(("a", "b")), about=About("x", "test", "none", "none", "p")
    )
    starts = Counter(note.split(":")[0] for note in results.notes if not note.startswith("ece_"))
    assert set(starts) == {
        "kl is infinite",
        "entropy_correlation is undefined on these items",
        "r2_score is undefined on these items",
    }


def test_the_file_holds_what_was_computed(
    tmp_path: Path, predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    results = evaluate_predictions(predictions, categories, about=about)
    path = write_results(tmp_path / "run" / "metrics.json", results)
    assert read_results(path) == results
    row = json.loads(path.read_text(encoding="utf-8"))
    assert (row["corpus"], row["reasoning"], row["clusters"], row["left_out"]) == (
        "demo",
        "generated",
        "speakers",
        0,
    )
    assert set(row["metrics"]["js_div_bits"]) == {"value", "low", "high"}
    assert row["by_ambiguity"]["low"]["items"] == results.by_ambiguity["low"].items


def test_break_downs_hold_the_columns_of_the_corpus_and_old_files_mean_those_of_lalm(
    tmp_path: Path, predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    text = replace(about, table_metrics=SHALA_METRICS)
    results = evaluate_predictions(predictions, categories, about=text)
    assert tuple(results.by_ambiguity["high"].metrics) == SHALA_METRICS
    path = write_results(tmp_path / "metrics.json", results)
    assert read_results(path).about.table_metrics == SHALA_METRICS
    row = json.loads(path.read_text(encoding="utf-8"))
    del row["table_metrics"]
    path.write_text(json.dumps(row), encoding="utf-8")
    assert read_results(path).about.table_metrics == LALM_METRICS


def test_a_file_of_an_older_version_is_read_and_its_intervals_are_marked(
    tmp_path: Path, predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    results = evaluate_predictions(predictions, categories, about=about)
    path = write_results(tmp_path / "metrics.json", results)
    row = json.loads(path.read_text(encoding="utf-8"))
    row |= {
        "resampled": row.pop("clusters"),
        "resampled_count": row.pop("n_clusters"),
        "resamples": 1000,
        "seed": 0,
    }
    del row["intervals"]
    path.write_text(json.dumps(row), encoding="utf-8")
    older = read_results(path)
    assert older == replace(results, intervals="bootstrap")
    caption = main_table({"then": older, "now": results}).caption
    assert "then: intervals of an older version, too narrow with few speakers" in "\n".join(caption)


def test_an_infinite_value_is_null_in_the_file(
    tmp_path: Path, predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    sure = [replace(p, predicted_dist=(1.0, 0.0, 0.0)) for p in predictions]
    path = write_results(tmp_path / "m.json", evaluate_predictions(sure, categories, about=about))
    row = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert row["metrics"]["kl"]["value"] is None
    assert math.isnan(read_results(path).metrics["kl"].value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"corpus": "x"}', "<html>"])
def test_a_file_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics\.json: not a metrics\.json"):
        read_results(path)


def test_what_a_file_lacks_is_named(
    predictions: list[Prediction], categories: CategorySet, about: About, tmp_path: Path
) -> None:
    path = write_results(
        tmp_path / "metrics.json", evaluate_predictions(predictions, categories, about=about)
    )
    whole = json.loads(path.read_text("utf-8"))
    for lacking in ("items_digest", "by_majority", "corpus", "clusters"):
        path.write_text(json.dumps({key: value for key, value in whole.items() if key != lacking}), "utf-8")
        with pytest.raises(InputError, match=rf"has no {lacking}: it is .* Evaluate the run again\.$"):
            read_results(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file: .*gone\.json"):
        read_results(tmp_path / "gone.json")


def test_the_fingerprint_depends_on_items_and_votes_and_not_on_order_or_prediction(
    predictions: list[Prediction],
) -> None:
    digest = items_digest(predictions)
    assert items_digest(predictions[::-1]) == digest
    assert items_digest([replace(p, predicted_dist=(1.0, 0.0, 0.0)) for p in predictions]) == digest
    assert items_digest(predictions[1:]) != digest
    assert items_digest([replace(predictions[0], votes=(9.0, 0.0, 0.0)), *predictions[1:]]) != digest
    assert items_digest([replace(predictions[0], id="other"), *predictions[1:]]) != digest


def test_what_cannot_be_scored_is_named(
    predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    with pytest.raises(InputError, match="evaluation of demo, split test: there is no prediction"):
        evaluate_predictions([], categories, about=about)
    with pytest.raises(InputError, match=r"item clip 0 has \[3\] classes, not 2"):
        evaluate_predictions(predictions, CategorySet(("a", "b")), about=about)


def test_results_are_a_record_that_cannot_be_changed(
    predictions: list[Prediction], categories: CategorySet, about: About
) -> None:
    results: Results = evaluate_predictions(predictions, categories, about=about)
    with pytest.raises(AttributeError):
        results.items = 3


def test_metrics_of_ordered_classes_are_computed_for_these_alone(
    predictions: list[Prediction], categories: CategorySet, about: About, tmp_path: Path
) -> None:
    ordered = evaluate_predictions(predictions, replace(categories, ordered=True), about=about)
    assert set(ordered.metrics) == {metric.name for metric in all_metrics(3)}
    assert ordered.metrics["wasserstein"].value > 0
    path = write_results(tmp_path / "metrics.json", ordered)
    assert read_results(path).ordered
    older = json.loads(path.read_text())
    del older["ordered"]
    path.write_text(json.dumps(older))
    assert not read_results(path).ordered
