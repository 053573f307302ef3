"""GRPO in one file takes the same steps as `fit`."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lalm_ambig import fit

FILE = Path(__file__).parents[2] / "examples" / "minimal_grpo.py"
STEPS = 4


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("minimal_grpo", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "minimal_grpo", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_prints_the_numbers_that_fit_logs(
    example: ModuleType, demo_root: Path, cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    ours = list(example.train(example.Settings(root=demo_root, steps=STEPS)))
    files = [f"--config=configs/{name}.yaml" for name in ("base", "policy/tiny", "data/demo", "method/grpo")]
    settings = {
        "data.corpus.root": demo_root,
        "data.batch_size": 8,
        "data.items_per_update": 8,
        "model.grouping.group_size": 4,
        "model.sampling.max_new_tokens": 24,
        "model.optimiser.learning_rate": 1e-4,
        "model.generation.max_new_tokens": 4,
        "model.generation.validation_items": 2,
        "trainer.max_steps": STEPS,
        "trainer.log_every_n_steps": 1,
        "trainer.accelerator": "cpu",
        "run.root": tmp_path,
        "run.name": "r",
    }
    monkeypatch.setattr(
        sys, "argv", ["fit", *files, *(f"--{key}={value}" for key, value in settings.items())]
    )
    assert fit.main() == 0
    rows = list(csv.DictReader((tmp_path / "r" / "metrics.csv").open()))
    logged = [row for row in rows if row["train/loss"]]
    assert len(logged) == len(ours) == STEPS
    for row, values in zip(logged, ours, strict=True):
        assert {"loss", "reward", "reward/agreement", "kl_to_reference"} <= set(values)
        for name, value in values.items():
            assert value == pytest.approx(float(row[f"train/{name}"]), abs=1e-6, rel=1e-4), name
    assert len({values["reward"] for values in ours}) == STEPS, "each step has responses of its own"


def test_it_can_be_read_in_one_sitting_and_needs_no_trainer() -> None:
    text = FILE.read_text()
    assert len(text.splitlines()) <= 150
    assert "lightning" not in text
    assert "lalm_ambig.methods" not in text
