"""`evaluate --endpoint` with clips, on a run's own items, and killed in the middle."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from endpoint_stub import EndpointStub

from lalm_ambig import evaluate, fit
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.evaluation.results_file import read_results

Words = Callable[..., list[str]]
NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
STATED = json.dumps(dict.fromkeys(NAMES, 1))
SMALL = (
    "--data.limit=6",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--policy.adapter.method=lora",
    "--run.name=r",
    "--test",
)


def test_a_clip_is_sent_as_wav_where_the_prompt_has_it(demo_root: Path, tmp_path: Path) -> None:
    words = ["--corpus", "demo", "--root", str(demo_root), "--limit", "4", "--out", str(tmp_path / "out")]
    with EndpointStub(write=lambda _: STATED) as stub:
        assert evaluate.main(["--endpoint", stub.url, "--model", "right-model", *words]) == 0
    sound, text = stub.chats[0]["messages"][0]["content"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound["input_audio"]["data"])))
    assert (sound["type"], sound["input_audio"]["format"], rate) == ("input_audio", "wav", 16_000)
    assert samples.ndim == 1 and len(samples) > 1600
    assert "anger" in text["text"] and "{" in text["text"]
    assert "data" not in json.loads((tmp_path / "out/answers.jsonl").read_text().splitlines()[0])


def test_clips_of_a_licensed_corpus_stay_here_unless_that_is_confirmed(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Demo, "licensed", True)
    words = ["--corpus", "demo", "--root", str(demo_root), "--limit", "2", "--out", str(tmp_path / "out")]
    with EndpointStub(write=lambda _: STATED) as stub:
        words = ["--endpoint", stub.url, "--model", "right-model", *words]
        with pytest.raises(InputError, match=r"clips and texts of demo .*--confirm-upload"):
            evaluate.main(words)
        assert stub.asked == []
        assert evaluate.main([*words, "--confirm-upload"]) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_gives_items_prompt_and_readout_and_its_rows_are_in_the_table(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted = ["fit", *SMALL, f"--data.corpus.root={demo_root}", f"--run.root={tmp_path}"]
    monkeypatch.setattr(sys, "argv", fitted)
    assert fit.main() == 0
    capsys.readouterr()
    answer = {f" {name}": 0.1 for name in NAMES} | {" x": 0.3999, "y": 1e-5}
    with EndpointStub(write=lambda _: "<answer> fear</answer>", answer=answer) as stub:
        words = ["--endpoint", stub.url, "--model", "right-model", "--run", str(tmp_path / "r")]
        assert evaluate.main([*words, "--no-reasoning", "--limit", "6", "--out", str(tmp_path / "out")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "base" in printed and "right-model (logits" in printed
    trained = read_predictions(tmp_path / "r/evaluation/trained/predictions.jsonl")
    assert [p.id for p in read_predictions(tmp_path / "out/predictions.jsonl")] == [p.id for p in trained]
    found, ours = (read_results(tmp_path / name / "metrics.json") for name in ("out", "r/evaluation/trained"))
    assert found.items_digest == ours.items_digest


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_and_asks_nothing_twice(words: Words, tmp_path: Path) -> None:
    with EndpointStub(latency_s=0.5) as stub:
        command = [sys.executable, "-m", "lalm_ambig.evaluate", *words(stub, "--concurrency", "1")]
        running = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        file = tmp_path / "out/answers.jsonl"
        while not file.is_file() or len(file.read_text().splitlines()) < 3:
            time.sleep(0.05)
            assert running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.wait()
        kept = len(file.read_text().splitlines())
        stub.latency_s, stub.asked = 0.0, []
        time.sleep(1)  # the call in flight ends
        stub.asked = []
        assert evaluate.main(words(stub)) == 0
        assert len(stub.asked) == len(read_predictions(tmp_path / "out/predictions.jsonl")) - kept
