"""Arguments of small runs on the device that is checked."""

from pathlib import Path

import combinations

from check.runner import Stage


def fit_words(stage: Stage, policy: str, method: str, inputs: Path, *, name: str) -> list[str]:
    """Arguments of `fit` (see combinations), its runs beside the results."""
    accelerator = "gpu" if stage.device.is_gpu else "cpu"
    words = combinations.words(policy, method, inputs, runs=stage.options.out / "runs", name=name)
    return [*words, f"--trainer.accelerator={accelerator}"]
