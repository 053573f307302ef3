"""Arguments of small runs on the device that is checked."""

from pathlib import Path

import small_runs

from check.runner import Stage


def fit_words(stage: Stage, policy: str, method: str, inputs: Path, *, name: str) -> list[str]:
    """Arguments of `fit` (see small_runs), its runs beside the results."""
    accelerator = "gpu" if stage.device.is_gpu else "cpu"
    words = small_runs.words(policy, method, inputs, runs=stage.options.out / "runs", name=name)
    return [*words, f"--trainer.accelerator={accelerator}"]
