"""`evaluate` and `predict` with a distribution in words, with a whole configuration, and with several samples."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalm_ambig import evaluate, predict
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts import parsing

TINY = str(config_folder() / "policy/tiny.yaml")
PROMPT = ["--prompt", "speech_emotion_short"]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def arguments(root: Path, out: Path, *more: str) -> list[str]:
    small = ["--limit", "6", "--max-new-tokens", "6", *PROMPT]
    return ["--policy", TINY, "--corpus", "demo", "--root", str(root), "--out", str(out), *small, *more]


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def test_an_untrained_policy_writes_nothing_that_could_be_read_and_the_table_says_so(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(arguments(demo_root, tmp_path, "--readout", "verbalised")) == 0
    found = metrics(tmp_path)
    assert (found["readout"], found["reasoning"], found["parse_rate"]) == ("verbalised", "direct", 0)
    assert found["unparsed"] == {"no object": 6}
    assert found["metrics"]["accuracy"]["value"] == 0
    assert found["metrics"]["js_div_bits"] == metrics(tmp_path / "uniform")["metrics"]["js_div_bits"]
    assert all(p.unparsed == "no object" for p in read_predictions(tmp_path / "predictions.jsonl"))
    printed = capsys.readouterr().out
    assert "parsed" in printed
    assert "0.0%" in printed
    assert "6 of 6 responses could not be read" in " ".join(printed.split())


def test_what_the_words_state_is_what_is_scored(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "parse", lambda *_: (0.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    assert evaluate.main(arguments(demo_root, tmp_path, "--readout", "verbalised", "--reasoning")) == 0
    rows = read_predictions(tmp_path / "predictions.jsonl")
    assert {p.predicted_dist for p in rows} == {(0.0, 0.0, 0.0, 0.0, 1.0, 0.0)}
    assert metrics(tmp_path)["reasoning"] == "generated"
    assert metrics(tmp_path)["parse_rate"] == 1


def test_a_whole_configuration_is_evaluated_untrained(demo_root: Path, tmp_path: Path) -> None:
    preset = str(config_folder() / "preset/demo_reasoning.yaml")
    words = ["--config", preset, "--root", str(demo_root), "--limit", "4", "--max-new-tokens", "3"]
    assert evaluate.main([*words, "--out", str(tmp_path)]) == 0
    found = metrics(tmp_path)
    assert (found["corpus"], found["items"], found["reasoning"]) == ("demo", 4, "generated")


def test_a_configurations_own_number_of_samples_holds_unless_another_is_given(
    demo_root: Path, tmp_path: Path
) -> None:
    configuration = yaml.safe_load((config_folder() / "preset/demo_reasoning.yaml").read_text())
    configuration["model"]["init_args"]["generation"]["samples"] = 2
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(configuration))
    words = ["--config", str(own), "--root", str(demo_root), "--limit", "2", "--max-new-tokens", "3"]
    assert evaluate.main([*words, "--out", str(tmp_path / "own")]) == 0
    assert evaluate.main([*words, "--samples", "1", "--out", str(tmp_path / "greedy")]) == 0
    assert [metrics(tmp_path / name)["samples"] for name in ("own", "greedy")] == [2, 1]


def test_each_number_of_samples_is_a_row_whose_first_samples_are_the_same(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(arguments(demo_root, tmp_path, "--reasoning", "--samples", "1", "2", "4")) == 0
    printed = capsys.readouterr().out
    assert "mean of 4 samples" in " ".join(printed.split())
    assert "greedy" in printed.split("what averaging costs:")[1]
    assert (metrics(tmp_path)["samples"], metrics(tmp_path / "samples_4")["samples"]) == (1, 4)
    assert min(metrics(tmp_path / name)["seconds_an_item"] for name in (".", "samples_2", "samples_4")) > 0
    two, four = (read_predictions(tmp_path / f"samples_{n}/predictions.jsonl") for n in (2, 4))
    assert [p.response for p in two] == [p.response for p in four]
    assert two[0].predicted_dist != four[0].predicted_dist


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--samples", "4"], "without reasoning every sample is the same"),
        (["--reasoning", "--samples", "1", "0"], "samples must be at least 1, got 0"),
        (
            ["--readout", "verbalised", "--temperature-scaling"],
            "a distribution in words has no logits to scale",
        ),
        (["--prompt", "nope"], "no prompt 'nope'"),
        (["--prompt", "inference"], "the prompt has no {audio}"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_weights_are_loaded(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], message: str
) -> None:
    monkeypatch.setattr(Tiny, "load", never)
    with pytest.raises(InputError, match=message):
        evaluate.main(arguments(demo_root, tmp_path, *more))


@pytest.mark.parametrize("option", [["--fold", "1"], ["--option", "votes=face"]])
def test_options_of_a_corpus_beside_a_configurations_own_are_refused_not_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    monkeypatch.setattr(Tiny, "load", never)
    words = ["--config", str(config_folder() / "preset/demo_reasoning.yaml"), "--out", str(tmp_path / "out")]
    message = f"{option[0]} goes with --corpus, and the configuration's own corpus is taken as it is"
    with pytest.raises(InputError, match=message):
        evaluate.main([*words, *option])


def test_a_place_that_cannot_be_written_to_is_refused_before_any_weights_are_loaded(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tiny, "load", never)
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(InputError, match="--out: cannot write to"):
            evaluate.main(arguments(demo_root, out))


def never(*_: object) -> None:
    raise AssertionError("weights were loaded")


def test_predict_refuses_a_wrong_prompt_before_any_weights_are_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tiny, "load", never)
    with pytest.raises(InputError, match="no prompt 'nope'"):
        predict.main(["--text", "It is late.", "--policy", TINY, "--prompt", "nope"])


def test_predict_says_that_nothing_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--text",
        "It is late.",
        "--policy",
        TINY,
        *PROMPT,
        "--readout",
        "verbalised",
        "--max-new-tokens",
        "5",
    ]
    assert predict.main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["predicted_dist"] is None
    assert found["unparsed"] == "no object"
    assert predict.main(words) == 0
    assert "No distribution can be read from it: no object." in capsys.readouterr().out


def test_temperature_scaling_is_a_further_row_fitted_on_validation(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(arguments(demo_root, tmp_path, "--temperature-scaling")) == 0
    found = metrics(tmp_path / "temperature")
    assert metrics(tmp_path)["temperature"] is None
    assert found["temperature"] > 0
    assert found["metrics"]["accuracy"] == metrics(tmp_path)["metrics"]["accuracy"]
    assert found["metrics"]["kl"] != metrics(tmp_path)["metrics"]["kl"]
    assert "fitted on validation items" in " ".join(capsys.readouterr().out.split())


def test_the_temperature_belongs_to_the_first_number_of_samples(demo_root: Path, tmp_path: Path) -> None:
    words = ["--reasoning", "--samples", "1", "2", "--temperature-scaling"]
    assert evaluate.main(arguments(demo_root, tmp_path, *words)) == 0
    assert metrics(tmp_path / "temperature")["samples"] == 1
    alone = tmp_path / "alone"
    assert evaluate.main(arguments(demo_root, alone, "--reasoning", "--temperature-scaling")) == 0
    found, expected = (metrics(folder / "temperature")["temperature"] for folder in (tmp_path, alone))
    assert found == pytest.approx(expected, rel=1e-4)
