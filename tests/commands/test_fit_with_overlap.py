"""`fit` that samples a step's responses while the step before trains: killed and resumed, and in several processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from engine_stub import EngineStub
from safetensors.torch import load_file
from small_model import MakePolicy

from lalm_ambig import fit
from lalm_ambig.core.errors import run_command

pytestmark = pytest.mark.slow
ITEMS, ROLLOUTS = 4, 3
SETTINGS = [
    "--model.optimiser.learning_rate=5e-5",
    "--data.limit=12",
    "--data.batch_size=2",
    f"--data.items_per_update={ITEMS}",
    "--data.eval_batch_size=12",
    "--trainer.max_epochs=2",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_model_summary=false",
    "--policy=tiny",
    "--data=demo",
    "--model=GRPO",
    "--model.sampling.max_new_tokens=10",
    f"--model.grouping.group_size={ROLLOUTS}",
    "--model.generation.max_new_tokens=4",
    "--model.generation.validation_items=4",
    "--run.checkpoint_steps=1",
    "--run.rollout_steps=1",
]


@pytest.fixture
def stub(make_policy: MakePolicy) -> Iterator[EngineStub]:
    with EngineStub(make_policy(rank=32, alpha=64.0, projector=True, audio_tower=True)) as server:
        server.largest_rank = 32
        yield server


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, cache_home: Path, demo_root: Path, tmp_path: Path
) -> Callable[..., int]:
    """Runs `fit` under a name, and gives its exit code."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))

    def code_of(name: str, *words: str) -> int:
        paths = [f"--data.corpus.root={demo_root}", f"--run.root={tmp_path}", f"--run.name={name}"]
        monkeypatch.setattr(sys, "argv", ["fit", *SETTINGS, *paths, *words])
        with pytest.raises(SystemExit) as ended:
            run_command(fit.main)
        return int(str(ended.value.code))

    return code_of


def on(stub: EngineStub) -> list[str]:
    words = ["--model.engine=VLLM", f"--model.engine.urls=[{stub.url}]", "--model.engine.patience_s=2"]
    return [*words, "--model.engine.overlap=true"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "adapter" / "adapter_model.safetensors")


def responses(run: Path) -> list[list[tuple[str, str]]]:
    """Id and text of the responses, step by step."""
    rows = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    steps = sorted({row["step"] for row in rows})
    return [sorted((row["id"], row["response"]) for row in rows if row["step"] == step) for step in steps]


def test_a_run_that_overlaps_is_killed_and_ends_as_if_nothing_had_happened(
    run: Callable[..., int], tmp_path: Path, stub: EngineStub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("whole", *on(stub)) == 0
    whole = responses(tmp_path / "whole")
    assert [len(step) for step in whole] == [ITEMS * ROLLOUTS] * 6
    asked = [body["model"].rpartition("-")[2] for body in stub.asked if body["n"] == ROLLOUTS]
    assert sorted(asked) == sorted("0" * 8 + "1" * 4 + "3" * 8 + "4" * 4), (
        "ahead within each epoch of three steps"
    )
    assert "sampled anew" not in capsys.readouterr().err
    stub.loads.clear()
    # The first step asks for two probes and eight prompts; the second for a probe, then ahead for the third.
    stub.faults.extend([""] * 11 + ["truncated"] * 100)
    assert run("killed", *on(stub)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert lines == [
        f"error: {stub.url}: a response breaks off before its end, 3 times. "
        "The same command goes on from the last checkpoint."
    ]
    assert not stub.adapters
    stub.faults.clear()
    assert run("killed", *on(stub)) == 0
    assert "resuming from" in capsys.readouterr().out
    assert len(stub.loads) == 3 + 6, "two steps and a start before, a start and the other five after"
    assert responses(tmp_path / "killed") == whole
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path / "killed")[name], value), name


@pytest.mark.long
def test_two_processes_ask_ahead_each_for_its_own(
    run: Callable[..., int], demo_root: Path, tmp_path: Path, stub: EngineStub
) -> None:
    words = [*on(stub), "--trainer.max_epochs=1"]
    assert run("one", *words) == 0
    command = [
        *(sys.executable, "-m", "lalm_ambig.fit", *SETTINGS, *words),
        *("--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=1", "--run.name=two"),
        *(f"--data.corpus.root={demo_root}", f"--run.root={tmp_path}"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = responses(tmp_path / "one"), responses(tmp_path / "two")
    assert [len(step) for step in two] == [ITEMS * ROLLOUTS // 2] * 3, "the first process writes its own down"
    for number in (0, 1):
        assert set(two[number]) <= set(one[number]), "both are of the first weights"
    asked = [body["model"].rpartition("-")[2] for body in stub.asked if body["n"] == ROLLOUTS]
    assert sorted(asked) == sorted(2 * ("0" * 8 + "1" * 4)), "each item once, whichever process has it"
    assert not stub.adapters
