"""`evaluate` and `predict` on a run that `fit` has made, and on an untrained policy."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig import evaluate, fit, predict
from lalm_ambig.configuration_files import config_folder
from lalm_ambig.errors import InputError
from lalm_ambig.evaluation.predictions import read_predictions

SMALL = [
    "--model.reasoning=true",
    "--model.objective.ce_weight=1.0",
    "--data.limit=12",
    "--data.eval_batch_size=12",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--model.generation.max_new_tokens=4",
    "--policy.adapter.method=lora",
    "--run.name=r",
]
TINY = str(config_folder() / "policy/tiny.yaml")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def run(demo_root: Path, cache_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        words = [*SMALL, f"--data.corpus.root={demo_root}", f"--run.root={runs}"]
        patch.setattr(sys, "argv", ["fit", *words])
        assert fit.main() == 0
        yield runs / "r"


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def test_evaluating_a_run_on_its_own_test_split_repeats_its_predictions(run: Path, tmp_path: Path) -> None:
    assert evaluate.main(["--run", str(run), "--out", str(tmp_path), "--limit", "12"]) == 0
    again = read_predictions(tmp_path / "predictions.jsonl")
    before = read_predictions(run / "evaluation/trained/predictions.jsonl")
    assert [p.id for p in again] == [p.id for p in before]
    for one, other in zip(again, before, strict=True):
        assert one.response == other.response
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)
    assert metrics(tmp_path)["split"] == "test"
    assert metrics(tmp_path)["reasoning"] == "generated"


@pytest.mark.usefixtures("run")
def test_another_split_and_readout_of_an_untrained_policy_are_named(demo_root: Path, tmp_path: Path) -> None:
    words = ["--policy", TINY, "--corpus", "demo", "--root", str(demo_root), "--split", "validation"]
    assert evaluate.main([*words, "--limit", "6", "--out", str(tmp_path)]) == 0
    found = metrics(tmp_path)
    assert (found["split"], found["reasoning"], found["readout"], found["items"]) == (
        "validation",
        "direct",
        "logits",
        6,
    )
    assert all(p.response == "<answer>" for p in read_predictions(tmp_path / "predictions.jsonl"))


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "nowhere"], r"--run: nowhere is not a run folder: it has no config.yaml"),
        (["--policy", TINY], r"evaluate: --corpus is missing"),
        (["--policy", TINY, "--corpus", "nosuch"], r"unknown corpus 'nosuch': expected one of crema_d, demo"),
        (["--policy", TINY, "--corpus", "crema_d", "--root", "nowhere"], r"not found: .*nowhere"),
        (["--policy", TINY, "--corpus", "demo", "--limit", "0"], r"limit must be at least 1, got 0"),
    ],
)
def test_each_mistake_is_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate.main([*words, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_predict_gives_a_distribution_for_people_and_for_programs(
    run: Path, demo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = str(next((demo_root / "AudioWAV").glob("*.wav")))
    capsys.readouterr()
    assert predict.main([clip, "--run", str(run), "--text", "It is so.", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found["predicted_dist"]) == ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]
    assert sum(found["predicted_dist"].values()) == pytest.approx(1, abs=1e-5)
    assert predict.main([clip, "--policy", TINY, "--classes", "fear, anger"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "%" in line and "classes hold" not in line] == [
        "fear",
        "anger",
    ]


def test_predict_refuses_what_training_would_leave_out(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.wav"
    page.write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"page.wav: an HTML or XML page instead of sound"):
        predict.main([str(page), "--run", str(run)])
    with pytest.raises(InputError, match=r"nothing to predict: give a sound file, or --text"):
        predict.main(["--run", str(run)])
