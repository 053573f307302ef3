"""What training starts from and ends with are candidates; one seed gives one run, and another one another."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lalm_ambig import fit
from lalm_ambig.evaluation.predictions import read_predictions

Fit = Callable[..., Path]
SMALL = [
    "--data.limit=8",
    "--data.batch_size=4",
    "--data.items_per_update=4",
    "--data.eval_batch_size=8",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--policy.adapter.projector=false",
    "--policy.adapter.audio_tower=false",
    "--policy.adapter.rank=4",
    "--run.probe=false",
]


@pytest.fixture
def small_fit(demo_root: Path, tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Runs `fit` on few items and returns the run's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("COLUMNS", "300")

    def run(name: str, *more: str) -> Path:
        words = [
            *SMALL,
            f"--data.corpus.root={demo_root}",
            f"--run.root={tmp_path}",
            f"--run.name={name}",
            *more,
        ]
        monkeypatch.setattr(sys, "argv", ["fit", *words])
        assert fit.main() == 0
        return tmp_path / name

    return run


def selection(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "selection.json").read_text())
    return content


def losses(run: Path) -> list[str]:
    with (run / "metrics.csv").open() as file:
        return [row["train/loss"] for row in csv.DictReader(file) if row["train/loss"]]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_where_no_epoch_is_better_the_start_is_the_result(
    small_fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    run = small_fit("no_better", "--model.optimiser.learning_rate=1e-30")
    found = selection(run)
    assert found["chosen"] == found["start"]
    assert (found["start"]["step"], found["validations"]) == (0, 2)
    weights = load_file(run / "checkpoints/best.safetensors")
    assert all(not bool(w.any()) for name, w in weights.items() if "lora_B" in name)
    rows = {
        name: read_predictions(run / f"evaluation/validation/{name}/predictions.jsonl")
        for name in ("base", "trained")
    }
    for base, trained in zip(rows["base"], rows["trained"], strict=True):
        assert base.predicted_dist == pytest.approx(trained.predicted_dist, abs=1e-6)
    said = capsys.readouterr().out
    assert said.count("no epoch beat the start on validation") == 1
    assert "no epoch beat the start on validation" in (run / "results.md").read_text()


def validated_at(run: Path) -> list[int]:
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["direct/js_div_bits"]]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("ends", "last", "validations"),
    [
        (["--trainer.max_steps=1"], 1, 2),
        (["--trainer.max_epochs=2", "--trainer.max_steps=3"], 3, 3),
        (["--trainer.max_epochs=3", "--trainer.check_val_every_n_epoch=2"], 6, 3),
        (
            [
                "--trainer.max_epochs=3",
                "--trainer.val_check_interval=4",
                "--trainer.check_val_every_n_epoch=null",
            ],
            6,
            3,
        ),
        (["--trainer.max_epochs=2"], 4, 3),
    ],
)
def test_the_last_step_is_validated_wherever_it_is_and_no_step_twice(
    small_fit: Fit, ends: list[str], last: int, validations: int
) -> None:
    """Otherwise a run would give back its start, or an earlier epoch, whatever its last steps learnt."""
    run = small_fit("ends", *ends, "--model.optimiser.learning_rate=1e-3")
    found = selection(run)
    assert found["validations"] == validations
    steps = validated_at(run)
    assert len(steps) == len(set(steps)) == validations
    assert steps[-1] in (last, last - 1)  # of a validation within an epoch, Lightning logs the step from 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_that_learns_is_the_same_with_its_seed_also_if_it_is_tested_and_another_with_another(
    small_fit: Fit, capsys: pytest.CaptureFixture[str]
) -> None:
    dropout = "--policy.adapter.dropout=0.1"
    first, again, other = (
        small_fit(name, dropout, f"--seed={seed}", *more)
        for name, seed, more in (("a", 1, ()), ("b", 1, ("--test",)), ("c", 2, ()))
    )
    assert selection(first)["chosen"]["step"] == 2
    assert "no epoch beat" not in capsys.readouterr().out
    assert losses(first) == losses(again)
    best = [load_file(run / "checkpoints/best.safetensors") for run in (first, again)]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])
    assert selection(first) == selection(again)
    assert losses(first)[0] != losses(other)[0]
    assert (
        selection(first)["start"] == selection(other)["start"]
    )  # the same items: the split has a seed of its own
