"""Two processes under every strategy train as one does with the same items in a step: float32, on CPUs."""

import csv
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from small_runs import ForkServer, Whole, words
from transformers import Qwen2AudioForConditionalGeneration

from lalm_ambig.policies.tiny import build

ZERO = "--trainer.strategy=cpu_deepspeed.CPUDeepSpeed"
STRATEGIES = {
    "ddp": ["--trainer.strategy=ddp"],
    "fsdp2": ["--trainer.strategy=fsdp2"],
    **{f"zero {n}": ["--allow-any-class", ZERO, f"--trainer.strategy.stage={n}"] for n in (1, 2, 3)},
}
ALWAYS = {
    ("grpo", "ddp"),
    ("grpo", "fsdp2"),
    ("grpo", "zero 2"),
    ("grpo", "zero 3"),
    ("sft", "zero 1"),
    ("sft", "ddp"),
}
LOSS, WEIGHT = 2e-5, 2e-5
"""Largest differences of a step's loss in nats and of a trained weight: what the order of sums changes."""


def cases() -> list[object]:
    every = [(method, name) for method in ("sft", "grpo") for name in STRATEGIES]
    return [pytest.param(*case, marks=() if case in ALWAYS else pytest.mark.long) for case in every]


@pytest.fixture(scope="session")
def alone(
    server: ForkServer, demo_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def run(method: str) -> Path:
        if method not in made:
            folder = tmp_path_factory.mktemp(method)
            codes = server.run(arguments(method, demo_root, folder), folder / "log")
            assert codes == [0], (folder / "log").read_text()
            made[method] = folder / "r"
        return made[method]

    return run


def arguments(method: str, corpus: Path, folder: Path, *more: str, world: int = 1) -> list[str]:
    return words(method, corpus, folder, *more, world=world, dropout=0.0, learning_rate=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name"), cases())
def test_a_strategy_trains_as_one_process_does(
    method: str, name: str, server: ForkServer, alone: Callable[[str], Path], demo_root: Path, tmp_path: Path
) -> None:
    if name.startswith("zero") and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("deepspeed is not installed")
    wanted, log = alone(method), tmp_path / "log"
    given = arguments(method, demo_root, tmp_path, *STRATEGIES[name], world=2)
    assert server.run(given, log, world=2) == [0, 0], log.read_text()
    found = tmp_path / "r"
    assert losses(found) == pytest.approx(losses(wanted), abs=LOSS)
    own, other = (load_file(run / "adapter/adapter_model.safetensors") for run in (found, wanted))
    assert own.keys() == other.keys()
    assert max(float((own[key] - other[key]).abs().max()) for key in own) < WEIGHT
    assert max(float(value.abs().max()) for key, value in own.items() if "lora_B" in key) > 10 * WEIGHT
    for row in ("base", "trained"):
        mine, theirs = (
            ids(run / f"evaluation/validation/{row}/predictions.jsonl") for run in (found, wanted)
        )
        assert mine == theirs, "every item once, in the corpus's order"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddp", "fsdp2", "zero 2", "zero 3"])
@pytest.mark.parametrize("method", ["step", pytest.param("own", marks=pytest.mark.long)])
def test_a_step_in_passes_over_processes_is_the_step_of_one_pass(
    method: str, name: str, server: ForkServer, alone: Callable[[str], Path], demo_root: Path, tmp_path: Path
) -> None:
    """Four items at once in one process, and one at a time in two: rollouts, deviations and means are the step's."""
    if name.startswith("zero") and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("deepspeed is not installed")
    wanted, log = alone(method), tmp_path / "log"
    given = arguments(method, demo_root, tmp_path, *STRATEGIES[name], "--data.batch_size=1", world=2)
    assert server.run(given, log, world=2) == [0, 0], log.read_text()
    own, other = (load_file(run / "adapter/adapter_model.safetensors") for run in (tmp_path / "r", wanted))
    assert max(float((own[key] - other[key]).abs().max()) for key in own) < 4 * WEIGHT
    assert max(float(value.abs().max()) for key, value in own.items() if "lora_B" in key) > 40 * WEIGHT
    mine, theirs = ((run / "rollouts.jsonl").read_text().splitlines() for run in (tmp_path / "r", wanted))
    assert 2 * len(mine) == len(theirs), "the first process writes its half of each step"
    measured = "gradient norms" in log.read_text()
    assert measured == (name == "ddp"), "gradients are measured where each process has them all"


def losses(run: Path) -> list[float]:
    with (run / "metrics.csv").open() as rows:
        return [float(row["train/loss"]) for row in csv.DictReader(rows) if row["train/loss"]]


def ids(file: Path) -> list[str]:
    return [line.split('"id": "')[1].split('"')[0] for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_an_adapter_of_two_processes_loads_in_plain_peft(
    whole: Whole, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    run = whole("sft", 2)
    base = Qwen2AudioForConditionalGeneration.from_pretrained(build(0))
    model = PeftModel.from_pretrained(base, run / "adapter")
    saved = load_file(run / "adapter/adapter_model.safetensors")
    own = {name.replace(".default", ""): p for name, p in model.named_parameters() if "lora_" in name}
    assert own.keys() == saved.keys()
    assert all(torch.equal(own[name], saved[name]) for name in saved)
