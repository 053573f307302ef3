"""Predictions and results that are of one evaluation, and those that are not."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.one_evaluation import check_one_evaluation, read_evaluation
from lalm_ambig.evaluation.predictions import Prediction, write_predictions
from lalm_ambig.evaluation.results import About, evaluate_predictions
from lalm_ambig.evaluation.results_file import write_results
from lalm_ambig.runs.study.kept import STEPS, rounded

CLASSES = CategorySet(("anger", "neutral", "sadness"))
ABOUT = About("demo", "test", "logits", "generated", "tiny")
Change = Callable[[list[Prediction]], list[Prediction]]


def answers() -> list[Prediction]:
    votes = [(float(1 + n % 3), 2.0, float(n % 2)) for n in range(12)]
    targets = [tuple(vote / sum(row) for vote in row) for row in votes]
    dists = [(0.5 + n / 100, 0.3 - n / 100, 0.2) for n in range(12)]
    rows = zip(votes, targets, dists, strict=True)
    return [Prediction(f"i{n}", "test", None, *row) for n, row in enumerate(rows)]


def unread(prediction: Prediction) -> Prediction:
    return replace(prediction, unparsed="no JSON", predicted_dist=(1 / 3,) * 3)


def turned(rows: list[Prediction]) -> list[Prediction]:
    """The same answers, each to another item."""
    return [
        replace(one, predicted_dist=other.predicted_dist)
        for one, other in zip(rows, [*rows[5:], *rows[:5]], strict=True)
    ]


@pytest.mark.parametrize(
    "made",
    [
        answers(),
        [unread(answers()[0]), *answers()[1:]],
        [replace(one, labels=5) for one in answers()],
        [replace(one, predicted_dist=(0.0, 0.0, 1.0)) for one in answers()],
    ],
)
def test_the_answers_that_were_scored_pass(made: list[Prediction]) -> None:
    results = evaluate_predictions(made, CLASSES, about=ABOUT)
    check_one_evaluation(made, results, where="here")
    check_one_evaluation(made[::-1], results, where="here")


def test_rounded_answers_pass_however_sure_they_are_and_others_do_not() -> None:
    generator = np.random.default_rng(0)
    for sharpness in (0.01, 0.1, 1.0, 10.0):
        dists = generator.dirichlet([sharpness] * 3, size=12)
        made = [
            replace(one, predicted_dist=tuple(d.tolist())) for one, d in zip(answers(), dists, strict=True)
        ]
        results = evaluate_predictions(made, CLASSES, about=ABOUT)
        short = [replace(one, predicted_dist=rounded(one.predicted_dist)) for one in made]
        check_one_evaluation(short, results, where="here", rounding=1 / STEPS)
        with pytest.raises(InputError, match="different answers"):
            check_one_evaluation(turned(short), results, where="here", rounding=1 / STEPS)


@pytest.mark.parametrize(
    "change",
    [
        turned,
        lambda rows: [replace(one, predicted_dist=one.predicted_dist[::-1]) for one in rows],
        lambda rows: [replace(rows[0], predicted_dist=(0.0, 0.0, 1.0)), *rows[1:]],
        lambda rows: [unread(rows[0]), *rows[1:]],
        lambda rows: [replace(one, predicted_dist=one.label_dist) for one in rows],
    ],
)
def test_other_answers_to_the_same_items_are_refused(change: Change, tmp_path: Path) -> None:
    write_results(tmp_path / "metrics.json", evaluate_predictions(answers(), CLASSES, about=ABOUT))
    write_predictions(tmp_path / "predictions.jsonl", change(answers()))
    with pytest.raises(
        InputError, match=r"are of different answers: \w+ of the predictions is [0-2]\.\d{4}, and"
    ):
        read_evaluation(tmp_path)


def test_other_items_are_refused_and_metrics_that_a_file_lacks_are_not_asked_for(tmp_path: Path) -> None:
    write_results(tmp_path / "metrics.json", evaluate_predictions(answers(), CLASSES, about=ABOUT))
    write_predictions(tmp_path / "predictions.jsonl", answers()[1:])
    with pytest.raises(InputError, match="predictions and metrics are of different items"):
        read_evaluation(tmp_path)
    write_predictions(tmp_path / "predictions.jsonl", turned(answers()))
    content = json.loads((tmp_path / "metrics.json").read_text())
    content["metrics"] = {name: content["metrics"][name] for name in ("kl", "accuracy")}
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    assert len(read_evaluation(tmp_path)[0]) == len(answers())


@pytest.mark.parametrize(
    ("labels", "metric", "passes"),
    [(5, "brier_mean", True), (5, "manhattan", False), (None, "brier_mean", False)],
)
def test_older_results_of_sampled_answers_have_scores_without_a_correction(
    labels: int | None, metric: str, passes: bool
) -> None:
    made = [replace(one, labels=labels) for one in answers()]
    results = evaluate_predictions(made, CLASSES, about=ABOUT)
    off = replace(results.metrics[metric], value=results.metrics[metric].value + 0.01)
    older = replace(results, metrics={**results.metrics, metric: off})
    with nullcontext() if passes else pytest.raises(InputError, match=rf"different answers: {metric} of"):
        check_one_evaluation(made, older, where="here")
