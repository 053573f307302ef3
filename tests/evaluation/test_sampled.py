"""Shares of sampled labels as predictions: forms that are unbiased in their number, floors, and notes."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lalm_ambig.baselines.labels import drawn_labels
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.comparison import compare
from lalm_ambig.evaluation.intervals import Clusters, intervals
from lalm_ambig.evaluation.pairing import ComparedRun
from lalm_ambig.evaluation.predictions import Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.responses import responses_of
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.table import check_comparable, main_table
from lalm_ambig.metrics.base import Answers, all_metrics
from lalm_ambig.tabular.writers import plain_markdown

P = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]], dtype=torch.float64)
Q = torch.tensor([[0.6, 0.4, 0.0], [0.3, 0.3, 0.4], [0.7, 0.2, 0.1]], dtype=torch.float64)
CORRECTED = ("brier_mean", "brier_mean_unbiased", "brier_sum", "r2_score")
CLASSES = CategorySet(("anger", "neutral", "sadness"))
ABOUT = About("demo", "test", "sampled", "direct", "tiny, run", samples=4, sampled_at=1.0)


def values(predicted: torch.Tensor, draws: torch.Tensor | None, target: torch.Tensor = P) -> dict[str, float]:
    many = torch.full((len(predicted),), torch.inf, dtype=torch.float64)
    answers = Answers(predicted, torch.ones(len(predicted), dtype=torch.bool), draws, many)
    found = intervals(all_metrics(3), target, predicted_dist=answers, clusters=Clusters())
    return {name: interval.value for name, interval in found.items()}


@pytest.mark.parametrize("count", [2, 5])
def test_corrected_metrics_are_those_of_the_distribution_that_was_sampled(count: int) -> None:
    """By simulation: 60,000 repetitions of every item, each with its own labels; the plain form misses clearly."""
    repeated, q = (rows.repeat(60_000, 1) for rows in (P, Q))
    counts = np.random.default_rng(0).multinomial(count, q.numpy())
    shares, draws = torch.from_numpy(counts / count), torch.full((len(q),), float(count), dtype=torch.float64)
    truth = values(q, None, repeated)
    corrected, plain = values(shares, draws, repeated), values(shares, None, repeated)
    for name in CORRECTED:
        assert corrected[name] == pytest.approx(truth[name], abs=0.012 if name == "r2_score" else 0.004)
        assert abs(plain[name] - truth[name]) > 5 * abs(corrected[name] - truth[name])
    assert [m.name for m in all_metrics(3) if m.corrects_sampling] == sorted(CORRECTED)
    for name in set(truth) - set(CORRECTED):
        assert corrected[name] == pytest.approx(plain[name], nan_ok=True)


def test_the_correction_by_hand() -> None:
    """Shares 3/4 and 1/4 of four labels against (1, 0): 2/16 less 2 · 3/16 / 3 is 0."""
    shares, target = torch.tensor([[0.75, 0.25]]), torch.tensor([[1.0, 0.0]])
    metrics = {m.name: m for m in all_metrics(2)}
    draws = torch.tensor([4.0])
    for name, plain in (("brier_sum", 0.125), ("brier_mean", 0.0625)):
        assert metrics[name].rows(target, shares, draws=None).tolist() == [[plain, 1]]
        assert metrics[name].rows(target, shares, draws=draws)[0].tolist() == pytest.approx([0, 1], abs=1e-7)


def test_of_a_single_label_nothing_is_corrected_and_an_unread_item_is_uniform() -> None:
    one_hot, target = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    metric = next(m for m in all_metrics(2) if m.name == "brier_sum")
    assert metric.rows(target, one_hot, draws=torch.tensor([1.0])).tolist() == [[0.5, 1]]
    uniform = torch.tensor([[0.5, 0.5]])
    unread = metric.rows(target, uniform, torch.tensor([False]), torch.tensor([0.0]))
    assert unread.tolist() == [[0, 1]]


def js_bits(p: float, s: float) -> float:
    """A class's part of the JS divergence in bits."""
    m = (p + s) / 2
    return sum(0.5 * x * math.log2(x / m) for x in (p, s) if x > 0)


def test_the_floor_is_the_expected_divergence_of_the_targets_own_labels() -> None:
    """Exactly, since the JS divergence is a sum over classes, and a class's count is binomial."""
    count = 8
    exact = np.mean(
        [
            sum(
                math.comb(count, k) * p**k * (1 - p) ** (count - k) * js_bits(p, k / count)
                for p in row
                for k in range(count + 1)
            )
            for row in P.tolist()
        ]
    )
    targets = [tuple(P[n % 3].tolist()) for n in range(9000)]
    shares = [
        Prediction(f"i{n}", "test", None, target, target, (1.0, 0.0, 0.0), labels=count)
        for n, target in enumerate(targets)
    ]
    drawn = drawn_labels(shares)
    scored = evaluate_predictions(drawn, CLASSES, about=replace(ABOUT, readout="none"))
    assert scored.metrics["js_div_bits"].value == pytest.approx(exact, rel=0.03)
    assert scored.metrics["brier_sum"].value == pytest.approx(0, abs=0.002)
    assert scored.metrics["r2_score"].value == pytest.approx(1, abs=0.01)
    assert {p.labels for p in drawn} == {count}
    assert drawn_labels(shares[:5]) == drawn[:5]
    assert drawn_labels(shares[:50], seed=1) != drawn[:50]


def test_the_floor_has_as_many_labels_as_the_policy_named() -> None:
    shares = predictions()
    drawn = drawn_labels(shares)
    assert [p.labels for p in drawn] == [p.labels for p in shares]
    for p, own in zip(drawn, shares, strict=True):
        counts = [share * (p.labels or 1) for share in p.predicted_dist]
        if own.labels:
            assert counts == pytest.approx([round(c) for c in counts]) and p.unparsed is None
        else:
            assert (p.predicted_dist, p.unparsed) == (own.predicted_dist, own.unparsed)
        assert (p.label_dist, p.votes, p.response) == (own.label_dist, own.votes, None)
    assert max(drawn[n].predicted_dist[0] for n in (2, 5, 8, 11)) == 1, (
        "where people all agree, so do their labels"
    )


def predictions() -> list[Prediction]:
    """Twelve items of four answers each: one item without any that names a class, two with one."""
    rows = []
    for n in range(12):
        labels = (4, 4, 3, 1)[n % 4] if n else 0
        dist = tuple(Q[n % 3].tolist()) if labels > 1 else (1.0, 0.0, 0.0)
        unparsed = None if labels else "no class name"
        dist = dist if labels else (1 / 3,) * 3
        votes = tuple((10 * P[n % 3]).tolist())
        rows.append(
            Prediction(
                f"i{n}",
                "test",
                None,
                votes,
                tuple(P[n % 3].tolist()),
                dist,
                None,
                "x",
                False,
                unparsed,
                labels=labels,
            )
        )
    return rows


@pytest.fixture
def results() -> Results:
    return evaluate_predictions(predictions(), CLASSES, about=ABOUT)


def test_results_say_how_many_answers_named_a_class(results: Results) -> None:
    named = sum(p.labels or 0 for p in predictions())
    assert results.parse_rate == pytest.approx(named / 48)
    assert sum(part.items for part in results.by_ambiguity.values()) == 12
    pooled = sum((part.parse_rate or 0) * part.items for part in results.by_ambiguity.values())
    assert pooled / 12 == pytest.approx(named / 48)
    text = " ".join(results.notes)
    assert (
        f"shares of 4 one-label answers, sampled at temperature 1; {48 - named} of 48 named no class" in text
    )
    corrected = "Brier (mean), Brier (mean, unbiased), Brier (sum), R² (1−SSE/SST)"
    assert f"{corrected} are corrected for the sampling and unbiased" in text
    assert "1 of 12 items have no answer that names a class (no class name 1): they count as uniform" in text
    assert "items of which a single answer named a class: 3; nothing" in text
    assert "the mean distribution of" not in text


def test_the_row_is_corrected_as_its_answers_say(results: Results) -> None:
    rows = predictions()
    read = [p for p in rows if p.labels]
    by_hand = []
    for p in rows:
        squares = sum((a - b) ** 2 for a, b in zip(p.label_dist, p.predicted_dist, strict=True))
        spread = sum(s * (1 - s) for s in p.predicted_dist)
        by_hand.append(squares - (spread / (p.labels - 1) if p.labels and p.labels > 1 else 0))
    assert results.metrics["brier_sum"].value == pytest.approx(sum(by_hand) / 12)
    assert len(read) == 11
    plain = evaluate_predictions(
        [replace(p, labels=None) for p in rows], CLASSES, about=replace(ABOUT, readout="logits")
    )
    assert plain.metrics["brier_sum"].value > results.metrics["brier_sum"].value + 0.05
    assert plain.metrics["js_div_bits"] == results.metrics["js_div_bits"]


def test_two_runs_are_compared_by_the_corrected_forms(results: Results) -> None:
    rows = predictions()
    logits = [replace(p, labels=None, unparsed=None) for p in rows]
    other = evaluate_predictions(logits, CLASSES, about=replace(ABOUT, readout="logits"))
    found = compare(ComparedRun("a", results, rows), ComparedRun("b", other, logits))
    by_name = {row.metric.name: row for row in found.rows}
    assert by_name["brier_sum"].first == pytest.approx(results.metrics["brier_sum"].value)
    assert by_name["brier_sum"].difference.value == pytest.approx(
        by_name["brier_sum"].first - by_name["brier_sum"].second
    )
    assert "first sampled, second logits" in " ".join(found.warnings())


def test_shares_stand_beside_logits_but_not_beside_words(results: Results) -> None:
    rows = [replace(p, labels=None, unparsed=None) for p in predictions()]
    logits = evaluate_predictions(rows, CLASSES, about=replace(ABOUT, readout="logits"))
    grid = main_table({"greedy": logits, "share": results})
    assert "parsed" not in grid.head
    text = plain_markdown(grid)
    assert "logits readout, direct reasoning (greedy); sampled readout, direct reasoning (share)" in text
    told = responses_of({"greedy": logits, "share": results})
    assert told is not None and told.head == ("responses", "named")
    words = replace(logits, about=replace(logits.about, readout="verbalised"))
    for one in (logits, results):
        with pytest.raises(InputError, match="'a' and 'b' differ in readout"):
            check_comparable({"a": one, "b": words})


def test_the_file_has_the_number_of_answers(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "predictions.jsonl", predictions())
    assert read_predictions(path) == predictions()
    row = asdict(predictions()[1])
    for wrong in (1.5, -1, True, "4"):
        path.write_text(json.dumps({**row, "labels": wrong}))
        with pytest.raises(InputError, match="'labels' must be a whole number >= 0 or null"):
            read_predictions(path)
    del row["labels"]
    path.write_text(json.dumps(row))
    assert read_predictions(path)[0].labels is None
