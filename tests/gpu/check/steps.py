"""Training steps of a 7B model: seconds, of those sampling and passes, and memory beside the product's own estimate."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from combinations import CONFIGS
from lightning.pytorch.callbacks import Callback
from product.assembly import (
    Cli,
    assembled,
    estimated_bytes,
    reading,
    sizes_of,
    timed,
    trainer_of,
    with_rationales,
)

from check.device import Clock
from check.runner import Stage
from check.true_size import TOY, TRUE, write_omni, write_qwen2_audio

FILES = {"qwen2_audio": "qwen2_audio.yaml", "omni": "qwen2_5_omni.yaml"}
SETTINGS = (
    "--data.limit=8",
    "--data.prompt=speech_emotion_short",
    "--trainer.max_epochs=1",
    "--trainer.limit_val_batches=0",
    "--trainer.enable_progress_bar=false",
    "--trainer.logger=false",
)
WRITERS = {"qwen2_audio": write_qwen2_audio, "omni": write_omni}


def connected(stage: Stage, kind: str, method: str, *settings: str) -> Cli:
    """Method, data, and a policy of true size with random weights on the device."""
    folder = stage.options.out / f"random-{kind}"
    size = TOY[kind] if stage.options.toy else TRUE
    model = WRITERS[kind](folder, size, device=stage.device.name)
    words = [
        *(f"--config={CONFIGS}/policy/{FILES[kind]}", "--policy.path", str(folder)),
        f"--config={CONFIGS}/data/demo.yaml",
        f"--config={CONFIGS}/method/{method}.yaml",
        f"--trainer.accelerator={'gpu' if stage.device.is_gpu else 'cpu'}",
        *SETTINGS,
        *settings,
    ]
    began = time.monotonic()
    with reading(model.make):
        cli = assembled(with_rationales(words, stage.options.out / "rationales.jsonl"))
    stage.device.synchronise()
    parameters = sum(p.numel() for p in cli.model.policy.parameters())
    what, seconds = f"{parameters / 1e9:.2f} B parameters", round(time.monotonic() - began, 1)
    stage.facts.note(f"{kind} made and connected", what, seconds=seconds, **stage.device.memory_gb())
    return cli


class Steps(Callback):
    """Notes what each training step took."""

    def __init__(self, stage: Stage, cli: Cli, label: str) -> None:
        self.stage, self.cli, self.label = stage, cli, label
        self.clock = Clock()
        self.began = 0.0

    def measure(self, name: str, call: Any) -> Any:
        """For `timed`: the call, its time added to the step's."""
        return self.stage.device.measure(self.clock, name, call)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.clock.spent_s.clear()
        self.stage.device.synchronise()
        self.stage.device.reset_peak()
        self.began = time.monotonic()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.stage.device.synchronise()
        took = time.monotonic() - self.began
        sizes = sizes_of(batch, pl_module.policy)
        loss = float(outputs["loss"])
        self.stage.facts.note(
            f"{self.label} step {batch_idx}",
            f"{took:.2f} s",
            failed=not torch.isfinite(torch.tensor(loss)),
            **{f"{name}_s": round(spent, 2) for name, spent in self.clock.spent_s.items()},
            items=sizes.rows,
            prompt=sizes.prompt,
            curated=sizes.curated,
            loss=round(loss, 4),
            **self.stage.device.memory_gb(),
            estimate_gb=round(estimated_bytes(self.cli, sizes) / 1e9, 2),
        )


def run_steps(stage: Stage, kind: str, method: str, settings: Sequence[str], *, steps: int) -> None:
    """So many training steps, whose model is gone after them."""
    label = " ".join((kind, method, *settings))
    with stage.device.emptied(), stage.facts.attempt(label):
        _run_steps(stage, kind, method, settings, steps=steps)


def _run_steps(stage: Stage, kind: str, method: str, settings: Sequence[str], *, steps: int) -> None:
    """The steps; every trained weight must be finite after them."""
    label = " ".join((kind, method, *settings))
    cli = connected(stage, kind, method, *settings, f"--trainer.max_steps={steps}")
    watching = Steps(stage, cli, label)
    with timed(watching.measure):
        trainer_of(cli, watching).fit(cli.model, datamodule=cli.datamodule)
    trained = [p for p in cli.model.policy.parameters() if p.requires_grad]
    finite = all(bool(torch.isfinite(p).all()) for p in trained)
    stage.facts.note(f"{label}: trained weights are finite", finite, failed=not finite)
