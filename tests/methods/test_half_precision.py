"""Training and reading in bfloat16 give the demo's answers of float32, up to what rounding does."""

import json
from pathlib import Path

import pytest
import torch

from lalm_ambig.evaluate import main as evaluate
from lalm_ambig.fit import main as fit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="bf16 on this CPU needs oneDNN"),
]
READ = 0.01
"""Largest difference of a probability that is read in bfloat16: 0.004 on the demo."""
TRAINED = 0.03
"""Largest difference of the mean JS of two trainings: seeds differ by 0.005 to 0.01, as do the two types."""


def train(root: Path, runs: Path, precision: str) -> Path:
    """A run of that type on the small demo; returns its folder."""
    words = ["--preset", "demo", "--data.corpus.root", str(root), "--run.root", str(runs), "--test"]
    words += ["--run.name", precision, "--trainer.precision", precision, "--trainer.max_epochs", "10"]
    words += ["--data.items_per_update", "8", "--data.batch_size", "8"]
    assert fit([*words, "--trainer.enable_progress_bar", "false", "--run.probe", "false"]) == 0
    return runs / precision


def answers(folder: Path) -> dict[str, list[float]]:
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["predicted_dist"] for row in map(json.loads, lines) if "predicted_dist" in row}


def js_of(folder: Path) -> float:
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return float(found["metrics"]["js_div_bits"]["value"])


def test_half_precision_answers_as_float32_does(
    demo_root: Path, tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    wide, half = (train(demo_root, tmp_path / "runs", kind) for kind in ("32-true", "bf16-mixed"))
    learnt = wide / "evaluation/trained"
    assert js_of(learnt) < js_of(wide / "evaluation/base") - 0.02, (
        "nothing was learnt that rounding could spoil"
    )
    assert js_of(half / "evaluation/trained") == pytest.approx(js_of(learnt), abs=TRAINED)
    out = tmp_path / "read"
    assert evaluate(["--run", str(wide), "--precision", "bf16-mixed", "--out", str(out)]) == 0
    exact, rounded = answers(learnt), answers(out)
    assert exact.keys() == rounded.keys()
    far = [max(abs(a - b) for a, b in zip(exact[one], rounded[one], strict=True)) for one in exact]
    assert 0 < max(far) < READ
    assert js_of(out) == pytest.approx(js_of(learnt), abs=0.002)
