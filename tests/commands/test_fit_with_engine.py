"""`fit` that samples on a server: the run of the own loop, also after the server has failed and the run was resumed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from engine_stub import EngineStub
from safetensors.torch import load_file
from small_model import MakePolicy

from lalm_ambig import fit
from lalm_ambig.core.errors import run_command

RATE = 1e-3
GRPO = [
    f"--model.optimiser.learning_rate={RATE}",
    "--data.limit=8",
    "--data.batch_size=2",
    "--data.items_per_update=4",
    "--data.eval_batch_size=12",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_model_summary=false",
    "--policy=tiny",
    "--data=demo",
    "--model=GRPO",
    "--model.sampling.max_new_tokens=10",
    "--model.grouping.group_size=3",
    "--model.generation.max_new_tokens=4",
    "--model.generation.validation_items=4",
    "--run.checkpoint_steps=1",
    "--run.rollout_steps=1",
]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


@pytest.fixture
def stub(make_policy: MakePolicy) -> Iterator[EngineStub]:
    with EngineStub(make_policy(rank=32, alpha=64.0, projector=True, audio_tower=True)) as server:
        server.largest_rank = 32
        yield server


def ran(monkeypatch: pytest.MonkeyPatch, root: Path, runs: Path, name: str, *words: str) -> Path:
    """A run that must end well; its folder."""
    assert code_of(monkeypatch, root, runs, name, *words) == 0
    return runs / name


def code_of(monkeypatch: pytest.MonkeyPatch, root: Path, runs: Path, name: str, *words: str) -> int:
    paths = [f"--data.corpus.root={root}", f"--run.root={runs}", f"--run.name={name}"]
    monkeypatch.setattr(sys, "argv", ["fit", *GRPO, *paths, *words])
    with pytest.raises(SystemExit) as ended:
        run_command(fit.main)
    return int(str(ended.value.code))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "adapter" / "adapter_model.safetensors")


def responses(run: Path) -> list[tuple[object, object]]:
    lines = (run / "rollouts.jsonl").read_text().splitlines()
    return [(row["id"], row["response"]) for row in map(json.loads, lines)]


@pytest.mark.slow
def test_a_run_on_a_server_is_the_run_of_the_own_loop(
    monkeypatch: pytest.MonkeyPatch,
    demo_root: Path,
    tmp_path: Path,
    stub: EngineStub,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = ran(monkeypatch, demo_root, tmp_path, "own")
    engine = ["--model.engine=VLLM", f"--model.engine.urls=[{stub.url}]", "--model.engine.patience_s=2"]
    served = ran(monkeypatch, demo_root, tmp_path, "served", *engine)
    assert responses(served) == responses(own)
    assert len(responses(own)) == 24
    differences = torch.cat(
        [(weights(served)[n] - value).abs().flatten() for n, value in weights(own).items()]
    )
    assert float((differences > RATE / 50).float().mean()) < 0.005, (
        "AdamW turns rounding of tiny gradients into steps"
    )
    assert max(float(value.abs().max()) for n, value in weights(own).items() if "lora_B" in n) > RATE / 2
    assert any("prompt_embeds" in body for body in stub.asked), "the demo has sound"
    assert len(stub.names_seen) == 3, "one before training, and one per optimiser step"
    assert not stub.adapters, "the last adapter is given back"
    capsys.readouterr()
    stub.faults.extend([""] * 7 + ["truncated"] * 100)  # the second step, after three probes and four prompts
    assert code_of(monkeypatch, demo_root, tmp_path, "failed", *engine) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert lines == [
        f"error: {stub.url}: a response breaks off before its end, 3 times. "
        "The same command goes on from the last checkpoint."
    ]
    stub.faults.clear()
    resumed = ran(monkeypatch, demo_root, tmp_path, "failed", *engine)
    assert "resuming from" in capsys.readouterr().out
    assert responses(resumed) == responses(served)
    for name, value in weights(served).items():
        assert torch.equal(weights(resumed)[name], value), name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_two_processes_sample_with_one_adapter(
    demo_root: Path, tmp_path: Path, stub: EngineStub, strategy: str
) -> None:
    settings = [
        *GRPO,
        f"--data.corpus.root={demo_root}",
        f"--run.root={tmp_path}",
        "--trainer.devices=2",
        f"--trainer.strategy={strategy}",
    ]
    engine = ["--model.engine=VLLM", f"--model.engine.urls=[{stub.url}]"]
    for name, words in (("own", []), ("served", engine)):
        command = [sys.executable, "-m", "lalm_ambig.fit", *settings, f"--run.name={name}", *words]
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
    assert len(stub.names_seen) == 3
    assert sum("prompt_embeds" in body for body in stub.asked) == 8, (
        "each item once, whichever process has it"
    )
    own, served = tmp_path / "own", tmp_path / "served"
    assert sorted(responses(served)) == sorted(responses(own))
    differences = torch.cat(
        [(weights(served)[n] - value).abs().flatten() for n, value in weights(own).items()]
    )
    assert float((differences > RATE / 50).float().mean()) < 0.005
    assert max(float(value.abs().max()) for n, value in weights(own).items() if "lora_B" in n) > RATE / 2
