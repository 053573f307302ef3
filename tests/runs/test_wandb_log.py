"""W&B beside metrics.csv: its offline mode, with a run of its own for each folder. It needs the extra `wandb`."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from lalm_ambig import fit
from lalm_ambig.core.errors import InputError
from lalm_ambig.runs.wandb_log import check_wandb


@pytest.mark.filterwarnings("ignore")
def test_offline_runs_have_their_log_in_their_folder_and_keep_their_id(
    demo_root: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = [
        f"--data.corpus.root={demo_root}",
        "--data.limit=4",
        "--trainer.max_steps=1",
        "--run.probe=false",
    ]
    words += [f"--run.root={tmp_path}", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    for name in ("a", "b"):
        fit.train([*words, f"--run.name={name}", "--logger", "wandb"], Console(quiet=True))
    ids = set()
    for name in ("a", "b"):
        run = tmp_path / name
        ids.add(json.loads((run / "wandb/run.json").read_text())["id"])
        (log,) = run.glob("wandb/offline-run-*/run-*.wandb")
        assert log.stem == f"run-{json.loads((run / 'wandb/run.json').read_text())['id']}"
        assert b"direct/js_div_bits" in log.read_bytes()
        assert (run / "metrics.csv").is_file() and not (run / "tensorboard").exists()
        assert not list(run.glob("wandb/**/*.patch"))
    assert len(ids) == 2


def test_without_a_login_the_run_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.delenv("WANDB_MODE", raising=False)

    def refuse() -> None:
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login`")

    monkeypatch.setattr(wandb, "login", refuse)
    expected = r"^--logger wandb: W&B: No API key configured\. WANDB_MODE=offline keeps the log [^\n]*$"
    with pytest.raises(InputError, match=expected):
        check_wandb()
    monkeypatch.setenv("WANDB_MODE", "offline")
    check_wandb()
