"""`fit` as its users run it: from a corpus folder to an adapter and a table, killed and restarted, and refused."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig import evaluate, fit
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.runs.folder.run_folder import RunFolder

SMALL = [
    "--model.reasoning=true",
    "--model.objective.ce_weight=1.0",
    "--data.limit=12",
    "--data.batch_size=4",
    "--data.items_per_update=4",
    "--data.eval_batch_size=12",
    "--trainer.max_epochs=2",
    "--trainer.accelerator=cpu",
    "--model.generation.max_new_tokens=4",
    "--model.generation.validation_items=4",
    "--run.checkpoint_steps=1",
    "--run.name=r",
]
LORA, FULL = (
    [f"--policy.adapter.{field}" for field in (f"method={method}", "projector=false", "audio_tower=false")]
    for method in ("lora", "full")
)


def arguments(demo_root: Path, runs: Path, *more: str) -> list[str]:
    return [*SMALL, f"--data.corpus.root={demo_root}", f"--run.root={runs}", *more]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def run_fit(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["fit", *words])
    return fit.main()


def spawn(words: list[str], cwd: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "300"}
    command = [sys.executable, "-m", "lalm_ambig.fit", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "adapter", [pytest.param(LORA, id="lora"), pytest.param(FULL, id="full", marks=pytest.mark.slow)]
)
def test_a_run_is_complete_and_its_weights_give_its_predictions(
    demo_root: Path,
    tmp_path: Path,
    adapter: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = arguments(demo_root, tmp_path, "--model.optimiser.learning_rate=0.005", "--test", *adapter)
    assert run_fit(words, monkeypatch) == 0
    run = tmp_path / "r"
    _, validation, test = re.split(r"## (?:Validation|Test)\n", (run / "results.md").read_text())
    assert "demo, validation split, 6 items" in validation and "demo, test split, 12 items" in test
    assert "| probe |" in validation and "| panel |" in validation
    table = [row.split("|") for row in test.splitlines() if row[:1] == "|"]
    names = ["uniform", "prior", "base", "trained", "probe", "panel"]
    assert [row[1].strip() for row in table[:8]] == ["method", "---", *names]
    assert table[8][1:3] == [" ambiguity (items) ", " method "]
    assert [row[2].strip() for row in table[10:16]] == names
    assert str(run) in capsys.readouterr().out.replace("\n", "")
    for name in (
        "config.yaml",
        "environment.json",
        "metrics.csv",
        "samples.jsonl",
        "checkpoints/best.safetensors",
    ):
        assert (run / name).stat().st_size > 0, name
    for name in names:
        assert len(read_predictions(run / "evaluation" / name / "predictions.jsonl")) == 12
        assert (
            "js_div_bits" in json.loads((run / "evaluation" / name / "metrics.json").read_text())["metrics"]
        )
    assert predictions_again(run, demo_root, adapter) == dists(run, "trained")
    assert dists(run, "base") != dists(run, "trained")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert run_fit(words, monkeypatch) == 0
    assert "is finished already" in " ".join(capsys.readouterr().out.split())
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}


def dists(run: Path, name: str) -> list[Any]:
    rows = read_predictions(run / "evaluation" / name / "predictions.jsonl")
    return [pytest.approx(row.predicted_dist, abs=2e-4) for row in rows]


def predictions_again(run: Path, demo_root: Path, adapter: list[str]) -> list[tuple[float, ...]]:
    """What the saved weights answer, read into a policy of its own outside the run."""
    from lalm_ambig.corpora.demo.corpus import Demo
    from lalm_ambig.corpora.preparing.prepared import prepare
    from lalm_ambig.data.encoding import Elicitation, Encoder
    from lalm_ambig.rollouts.reading import read_generated

    lora = Adapter(rank=32, alpha=64.0)  # the demo's
    policy = Tiny(adapter=lora if adapter == LORA else Adapter(method="full"))
    policy.load()
    policy.eval()
    policy.load_weights(run / "adapter")
    prepared = prepare(Demo(demo_root), quiet=True)
    encoder = Encoder(policy, prepared.categories, Elicitation("speech_emotion_short", reasoning=True))
    batch = encoder(list(prepared.items("test"))[:12])
    reading = read_generated(policy, batch, encoder.answer, max_new_tokens=4)
    return [tuple(row) for row in reading.predicted_dist.tolist()]


@pytest.mark.filterwarnings("ignore")
def test_another_configuration_does_not_go_into_the_same_folder(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "environment.json").write_text('{"identity": "00000000", "packages": {}}')
    (folder / "config.yaml").write_text("{}")
    with pytest.raises(ValueError, match=r"run.name: .* holds a run with another configuration"):
        run_fit(arguments(demo_root, tmp_path), monkeypatch)


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_another_process_trains_is_left_to_it(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "r")
    with run.being_trained(), pytest.raises(InputError, match=r"r: another fit is training this run"):
        run_fit(arguments(demo_root, tmp_path), monkeypatch)
    assert not list(tmp_path.iterdir()), "nothing was begun, and the lock is gone"
    with run.being_trained():
        (tmp_path / "link").symlink_to(run.path)
        with pytest.raises(InputError, match="another fit"), RunFolder(tmp_path / "link").being_trained():
            pass


@pytest.mark.filterwarnings("ignore")
def test_a_precision_that_would_round_targets_is_refused(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ValueError, match=r"trainer.precision: bf16-true would round targets .* Use bf16-mixed"
    ):
        run_fit(arguments(demo_root, tmp_path, "--trainer.precision=bf16-true"), monkeypatch)
    assert not (tmp_path / "r").exists()


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_strategy_is_refused_before_anything_is_made(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"unknown strategy 'fsdp3': expected auto, ddp, deepspeed_stage_1"):
        run_fit(arguments(demo_root, tmp_path, "--trainer.strategy=fsdp3"), monkeypatch)
    assert not (tmp_path / "r").exists()


def crema_d(root: Path) -> list[str]:
    return [
        "--policy=tiny",
        "--method=sft_kl_only",
        "--data.corpus.class_path=lalm_ambig.corpora.crema_d.CremaD",
        f"--data.corpus.init_args.root={root}",
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        ("missing", r"corpus crema_d: not found: .*nowhere"),
        ("html", r"corpus crema_d: .*60 .*; the first: .*an HTML or XML page instead of sound"),
        ("column", r"tabulatedVotes.csv.*column"),
        ("zero", r"tabulatedVotes.csv:2.*"),
    ],
)
def test_a_wrong_corpus_is_one_line_and_leaves_no_run(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, break_it: str, expected: str
) -> None:
    root = tmp_path / "corpus"
    shutil.copytree(demo_root, root)
    votes = root / "processedResults/tabulatedVotes.csv"
    lines = votes.read_text().splitlines()
    if break_it == "missing":
        root = tmp_path / "nowhere"
    if break_it == "html":
        for clip in (root / "AudioWAV").iterdir():
            clip.write_text("<!DOCTYPE html><html><body>Log in</body></html>")
    if break_it == "column":
        votes.write_text("\n".join([lines[0].replace("fileName", "name"), *lines[1:]]))
    if break_it == "zero":
        cells = lines[1].split(",")
        votes.write_text("\n".join([lines[0], ",".join([cells[0], *["0"] * 6, *cells[7:]]), *lines[2:]]))
    with pytest.raises(ValueError, match=expected) as raised:
        run_fit([*SMALL, f"--run.root={tmp_path / 'runs'}", *crema_d(root)], monkeypatch)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_real_command_ends_with_2_over_a_wrong_root(tmp_path: Path) -> None:
    done = spawn([f"--data.corpus.root={tmp_path / 'file'}", *crema_d(tmp_path / "nowhere")[:3]], tmp_path)
    _, errors = done.communicate(timeout=60)
    assert done.returncode == 2
    assert errors.count("\n") == 1
    assert "not found" in errors


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_with_a_side_path_is_trained_resumed_evaluated_and_started_from(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    side = [
        "--policy.audio_layers=[0,1]",
        "--model.optimiser.side_path_learning_rate=0.01",
        "--trainer.max_epochs=1",
        "--run.probe=false",
    ]
    words = [
        *arguments(demo_root, tmp_path, "--test", *side),
        "--model.reasoning=false",
        "--model.objective.ce_weight=0.0",
    ]
    assert run_fit(words, monkeypatch) == 0
    run = tmp_path / "r"
    assert "plain PEFT refuses the weights" in (run / "adapter/README.md").read_text()
    trained = read_predictions(run / "evaluation/trained/predictions.jsonl")
    capsys.readouterr()
    assert run_fit(words, monkeypatch) == 0
    assert "r is finished already" in capsys.readouterr().out.replace("\n", "")
    assert evaluate.main(["--run", str(run), "--out", str(tmp_path / "again")]) == 0
    again = read_predictions(tmp_path / "again/predictions.jsonl")
    for one, other in zip(trained, again, strict=True):
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)
    assert run_fit([*words, "--run.name=next", f"--model.start={run}"], monkeypatch) == 0
    start = read_predictions(tmp_path / "next/evaluation/start/predictions.jsonl")
    for one, other in zip(trained, start, strict=True):
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)
    with pytest.raises(InputError, match=r"audio_layers is last, and the saved adapter's is \[0,1\]"):
        plain = [word for word in words if "side_path" not in word and "audio_layers" not in word]
        run_fit([*plain, "--run.name=other", f"--model.start={run}"], monkeypatch)
