"""`compare`: paired differences between any two results on the same items."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lalm_ambig import compare
from lalm_ambig.baselines.oracle import oracle
from lalm_ambig.baselines.panel import panel
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.distributions import brier_mean
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.results import About
from lalm_ambig.metrics.base import all_metrics
from lalm_ambig.runs.evaluation import score_and_save

ABOUT = About("demo", "test", "logits", "direct", "tiny, sft", trained_items=Overlap(0, 0, 40))
NONE = About("demo", "test", "none", "none", "a baseline")
CLASSES = CategorySet(("anger", "neutral", "sadness"))


def items(count: int = 40, *, speakers: int = 8) -> list[Item]:
    generator = np.random.default_rng(0)
    votes = generator.multinomial(9, generator.dirichlet([0.5, 1, 0.5], size=count)).tolist()
    return [
        Item(f"i{n}", tuple(map(float, row)), speaker=str(n % speakers), split="test")
        for n, row in enumerate(votes)
    ]


def near(weight: float, *, seed: int = 1) -> list[Prediction]:
    """Predictions that go so far from uniform noise towards what people said."""
    generator = np.random.default_rng(seed)
    found = []
    for row in uniform(items()):
        noise = generator.dirichlet([1, 1, 1])
        mixed = weight * np.array(row.label_dist) + (1 - weight) * noise
        found.append(replace(row, predicted_dist=tuple(mixed.tolist())))
    return found


Keep = Callable[..., Path]


@pytest.fixture
def kept(tmp_path: Path) -> Keep:
    """Writes predictions into a folder of that name, as evaluate does, and returns it."""

    def make(name: str, rows: list[Prediction], about: About = ABOUT, classes: CategorySet = CLASSES) -> Path:
        score_and_save(tmp_path / name, rows, classes, about=about)
        return tmp_path / name

    return make


def record(first: object, second: object, out: Path, *words: str) -> dict[str, object]:
    assert compare.main([str(first), str(second), "--out", str(out / "c.json"), *words]) == 0
    found: dict[str, object] = json.loads((out / "c.json").read_text())
    return found


def test_all_metrics_of_both_their_difference_interval_and_p(kept: Keep, tmp_path: Path) -> None:
    found = record(kept("a", near(0.9)), kept("b", near(0.2)), tmp_path)
    metrics: dict[str, dict[str, object]] = found["metrics"]  # type: ignore[assignment]
    assert list(metrics) == [metric.name for metric in all_metrics(3, ordered=False)]
    first, second = (
        float(
            brier_mean(
                torch.tensor([p.label_dist for p in rows], dtype=torch.float64),
                torch.tensor([p.predicted_dist for p in rows], dtype=torch.float64),
            ).mean()
        )
        for rows in (near(0.9), near(0.2))
    )
    row = metrics["brier_mean"]
    assert (row["first"], row["second"]) == (pytest.approx(first), pytest.approx(second))
    difference: dict[str, float] = row["difference"]  # type: ignore[assignment]
    assert difference["value"] == pytest.approx(first - second)
    assert difference["low"] < first - second < difference["high"] < 0
    assert 0 < difference["p"] < 0.05 and difference["effect"] < -1
    assert difference["p"] <= row["p_holm"] <= 1
    assert (found["clusters"], found["n_clusters"]) == ("speakers", 8)
    assert (found["items"], found["warnings"]) == (40, [])


def test_the_order_of_items_does_not_matter_and_swapping_sides_turns_the_sign(
    kept: Keep, tmp_path: Path
) -> None:
    one, other = kept("a", near(0.6)), kept("b", near(0.5, seed=2))
    there = record(one, other, tmp_path)["metrics"]
    again = record(one, kept("c", near(0.5, seed=2)[::-1]), tmp_path)["metrics"]
    back = record(other, one, tmp_path)["metrics"]
    for name in ("js_div_bits", "accuracy", "bc"):
        values = [rows[name]["difference"] for rows in (there, again, back)]  # type: ignore[index]
        assert values[0] == pytest.approx(values[1])
        assert values[0]["low"] == pytest.approx(-values[2]["high"])
        assert values[0]["p"] == pytest.approx(values[2]["p"])


def test_equal_answers_differ_by_nothing_with_p_one(kept: Keep, tmp_path: Path) -> None:
    found = record(kept("a", near(0.5)), kept("b", near(0.5)), tmp_path, "--metric", "js_div_bits")
    row = found["metrics"]["js_div_bits"]  # type: ignore[index]
    assert row["difference"] == {
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "p": 1.0,
        "effect": None,
        "share_of_seeds": None,
    }
    assert list(found["metrics"]) == ["js_div_bits"]  # type: ignore[call-overload]


def test_the_table_says_what_was_compared_and_markdown_has_it_too(
    kept: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(kept("a", near(0.9))), str(kept("b", near(0.2)))]
    assert compare.main([*words, "--metric", "bc", "--metric", "kl", "--out", str(tmp_path / "c.md")]) == 0
    text, printed = (tmp_path / "c.md").read_text(), " ".join(capsys.readouterr().out.split())
    assert "over 8 speakers" in printed
    assert "| bc ↑ | 0." in text and "| **+0." in text and "| < 0.001 | < 0.001 |" in text
    assert text.index("| bc") < text.index("| kl")
    for said in (
        "the same 40 items",
        "over 8 speakers",
        "logits readout, direct",
        "tiny, sft",
    ):
        assert said in text
    assert "READOUT" not in text


def test_different_readouts_are_compared_and_said_loudly(
    kept: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = replace(ABOUT, readout="verbalised", reasoning="generated")
    found = record(kept("a", near(0.9)), kept("b", near(0.2), stated), tmp_path)
    loud = "THE READOUTS DIFFER: first logits, second verbalised."
    assert loud in found["warnings"][0]  # type: ignore[index]
    assert "The reasoning differs: first direct, second generated." in found["warnings"]  # type: ignore[operator]
    assert loud in " ".join(capsys.readouterr().out.split())
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c.md")]
    assert compare.main(words) == 0
    assert (tmp_path / "c.md").read_text().startswith(f"**{loud}")


def test_an_answer_that_could_not_be_read_is_uniform_and_never_the_right_label(
    kept: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = replace(ABOUT, readout="verbalised")
    flat = (1 / 3,) * 3
    failed = [replace(p, predicted_dist=flat, unparsed="no JSON") for p in near(0.9)[:20]]
    first, second = kept("a", [*failed, *near(0.9)[20:]], stated), kept("u", uniform(items()), NONE)
    rows = record(first, second, tmp_path)["metrics"]
    own = json.loads((first / "metrics.json").read_text())["metrics"]
    for name in ("accuracy", "f1_macro", "js_div_bits", "ece_majority"):
        assert rows[name]["first"] == pytest.approx(own[name]["value"]), name  # type: ignore[index]
    right_by_chance = sum(
        p.label_dist[0] == max(p.label_dist) for p in failed
    )  # a uniform one would say class 0
    assert right_by_chance and rows["accuracy"]["first"] <= 0.5  # type: ignore[index]
    assert "50.0% of responses could be read" in " ".join(capsys.readouterr().out.split())


def test_a_baseline_has_no_readout_to_differ_in(kept: Keep, tmp_path: Path) -> None:
    found = record(kept("a", near(0.9)), kept("u", uniform(items()), NONE), tmp_path)
    assert found["warnings"] == []


def test_without_speakers_intervals_are_over_items(kept: Keep, tmp_path: Path) -> None:
    rows = [[replace(p, speaker=None) for p in near(weight)] for weight in (0.9, 0.2)]
    found = record(kept("a", rows[0]), kept("b", rows[1]), tmp_path)
    assert (found["clusters"], found["n_clusters"]) == ("items", 40)


def test_with_two_speakers_nothing_is_in_bold(kept: Keep, tmp_path: Path) -> None:
    few = [[replace(p, speaker=str(n % 2)) for n, p in enumerate(near(weight))] for weight in (0.9, 0.2)]
    words = [str(kept("a", few[0])), str(kept("b", few[1])), "--out", str(tmp_path / "c.md")]
    assert compare.main(words) == 0
    text = (tmp_path / "c.md").read_text()
    assert "over 2 speakers" in text and "little more than a guess" in text
    assert "**" not in text.replace("**first", "")


def test_too_few_items_have_differences_without_intervals(
    kept: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = record(kept("a", near(0.9)[:5]), kept("b", near(0.2)[:5]), tmp_path)
    difference = found["metrics"]["bc"]["difference"]  # type: ignore[index]
    assert difference["value"] > 0 and (difference["low"], difference["p"]) == (None, None)
    assert "no interval: 5 items" in " ".join(capsys.readouterr().out.split())


def test_a_run_folder_means_its_trained_policy_and_other_rows_have_names(kept: Keep, tmp_path: Path) -> None:
    kept("run/evaluation/trained", near(0.9))
    kept("run/evaluation/base", near(0.2))
    kept("evaluated", near(0.9))
    kept("evaluated/prior", uniform(items()), NONE)
    run, evaluated = tmp_path / "run", tmp_path / "evaluated"
    by_run = record(run, f"{run}:base", tmp_path)
    assert by_run["metrics"] == record(f"{run}:trained", run / "evaluation/base", tmp_path)["metrics"]
    assert by_run["second"]["name"] == f"{run}:base"  # type: ignore[index]
    by_folder = record(evaluated, f"{evaluated}:prior", tmp_path)
    assert by_folder["second"]["policy"] == "a baseline"  # type: ignore[index]
    with pytest.raises(
        InputError, match=r"no predictions.jsonl of row 'nosuch'. It has the rows base, trained: name"
    ):
        compare.main([f"{run}:nosuch", str(evaluated)])
    with pytest.raises(
        InputError, match=r"evaluated has no .* of row 'x'. It has the rows prior: name one as"
    ):
        compare.main([f"{evaluated}:x", str(run)])


def test_panel_and_oracle_are_paired_with_each_other_and_with_nothing_else(
    kept: Keep, tmp_path: Path
) -> None:
    people, best = kept("panel", panel(items()), NONE), kept("oracle", oracle(items()), NONE)
    found = record(best, people, tmp_path)
    assert found["metrics"]["brier_mean"]["difference"]["value"] < 0  # type: ignore[index]
    message = r"item i\d+ is scored against different targets: that of '.*panel' is a panel drawn at random"
    with pytest.raises(InputError, match=message):
        compare.main([str(people), str(kept("a", near(0.5)))])
    with pytest.raises(InputError, match=r"that of '.*panel' and '.*oracle1' is a panel"):
        compare.main([str(people), str(kept("oracle1", oracle(items(), seed=1), NONE))])


def other_votes() -> list[Prediction]:
    rows = near(0.5)
    votes = (rows[3].votes[0] + 1, *rows[3].votes[1:])
    return [*rows[:3], replace(rows[3], votes=votes), *rows[4:]]


@pytest.mark.parametrize(
    ("rows", "about", "message"),
    [
        (near(0.5), replace(ABOUT, corpus="iemocap"), "differ in corpus: demo and iemocap"),
        (near(0.5), replace(ABOUT, split="validation"), "differ in split: test and validation"),
        (near(0.5)[:30], ABOUT, "has 40 items and .*b' 30; 10 are only in .*a', the first of them i30"),
        (
            [*near(0.5)[:39], replace(near(0.5)[39], id="other")],
            ABOUT,
            "40 items and .* 40; 1 are only in .*a', the first of them i39",
        ),
        (other_votes(), ABOUT, r"differ in votes of item i3: \("),
        ([replace(p, speaker="x") for p in near(0.5)], ABOUT, "differ in speaker of item i0: 0 and x"),
    ],
)
def test_what_is_not_on_the_same_items_is_refused_by_the_first_difference(
    kept: Keep, rows: list[Prediction], about: About, message: str
) -> None:
    with pytest.raises(InputError, match=f"compare: .*{message}"):
        compare.main([str(kept("a", near(0.9))), str(kept("b", rows, about))])


def test_other_classes_are_refused(kept: Keep) -> None:
    other = kept("b", near(0.5), ABOUT, CategorySet(("anger", "neutral", "fear")))
    with pytest.raises(
        InputError, match="differ in classes: anger, neutral, sadness and anger, neutral, fear"
    ):
        compare.main([str(kept("a", near(0.9))), str(other)])


def test_each_mistake_is_one_line(kept: Keep, tmp_path: Path) -> None:
    a, b = str(kept("a", near(0.9))), str(kept("b", near(0.5)))
    untested = str(kept("run/evaluation/validation/base", near(0.5)).parents[2])
    kept("run/evaluation/validation/trained", near(0.9))
    assert compare.main([f"{untested}:validation/trained", f"{untested}:validation/base"]) == 0
    for words, message in (
        ([a, a], r"compare: both are .*a: there is nothing to compare"),
        ([a, "nowhere"], r"compare: nowhere has no predictions.jsonl. Give a finished run folder"),
        ([untested, a], r"It has the rows validation/base, validation/trained: name one as .*run:ROW"),
        ([a, b, "--metric", "js"], r"--metric: unknown metric 'js': expected one of accuracy, "),
        ([a, b, "--out", "x.txt"], r"--out: expected a name in .md or .json, got x.txt"),
    ):
        with pytest.raises(InputError, match=message):
            compare.main(words)
    write_predictions(
        tmp_path / "b/predictions.jsonl", read_predictions(tmp_path / "a/predictions.jsonl")[:9]
    )
    with pytest.raises(InputError, match=r"b: predictions and metrics are of different items"):
        compare.main([a, b])
