"""Steps of medium-sized models on the pretend accelerator: the peak of its memory beside the estimate of `--estimate`.

    python tests/gpu/memory_cases.py [CASE ...]

prints one JSON object per case. Widths are a quarter of the 7B models', where activations are most of a step.
"""

import gc
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

import torch  # noqa: E402
from check.true_size import Size, write_omni, write_qwen2_audio, write_text  # noqa: E402
from lightning.pytorch.callbacks import Callback  # noqa: E402
from pretend.device import register, train_on_it  # noqa: E402
from pretend.fused_attention import fused_attention  # noqa: E402
from pretend.watch import Watch  # noqa: E402
from product.assembly import (  # noqa: E402
    assembled,
    estimated,
    mean_sizes_of,
    reading,
    timed,
    trainer_of,
    with_rationales,
)
from product.decoding import fused_in, never_ending  # noqa: E402

CONFIGS = HERE.parents[1] / "configs"
SIZE = Size(narrower=4, layers=4, vocabulary=8192)
WRITERS = {"qwen2_audio": write_qwen2_audio, "omni": write_omni, "text": write_text}
FILES = {"qwen2_audio": "qwen2_audio.yaml", "omni": "qwen2_5_omni.yaml", "text": "causal_lm.yaml"}
DRAW = "--model.sampling.max_new_tokens=64"
AGAIN = "--policy.adapter.checkpoint_activations=true"
HALF = "--policy.adapter.checkpoint_every=2"
FLOAT32 = "--policy.dtype=float32"
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Qwen2-Audio, SFT, bf16": ("qwen2_audio", "sft", ("--data.batch_size=4",)),
    "Qwen2-Audio, GRPO, bf16": ("qwen2_audio", "grpo", (DRAW, "--data.batch_size=2")),
    "Qwen2-Audio, DPO, float32 base": ("qwen2_audio", "dpo", (DRAW, FLOAT32, "--data.batch_size=2")),
    "Omni, SFT, layers computed again": ("omni", "sft", (AGAIN, "--data.batch_size=8")),
    "Omni, GRPO, layers computed again": ("omni", "grpo", (DRAW, AGAIN, "--data.batch_size=4")),
    "Omni, SFT, every second layer again": ("omni", "sft", (AGAIN, HALF, "--data.batch_size=8")),
    "text, KL only, float32 base": ("text", "sft_kl_only", (FLOAT32, "--data.batch_size=8")),
    "text, SFT, float32": ("text", "sft", (FLOAT32, "--trainer.precision=32-true", "--data.batch_size=4")),
    "text, GRPO, all weights": (
        "text",
        "grpo",
        (
            DRAW,
            "--policy.adapter.method=full",
            FLOAT32,
            "--data.batch_size=2",
            "--model.objective.kl_weight=0",
        ),
    ),
}
"""Model, the method's file, settings."""
SETTINGS = (
    "--data.limit=8",
    "--data.items_per_update=null",
    "--trainer.max_epochs=1",
    "--trainer.max_steps=2",
    "--trainer.limit_val_batches=0",
    "--trainer.enable_progress_bar=false",
    "--trainer.logger=false",
    "--trainer.accelerator=cpu",
)


class Peaks(Callback):
    """Notes the bytes at the peak of each phase of the last step, and what is held between them."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.phases: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.sizes: Any = None
        self.policy: Any = None

    def measure(self, name: str, call: Any) -> Any:
        """For `timed`: the call, its peak noted."""
        self._note("before")
        self.backend.reset_peak()
        try:
            with never_ending(self.policy) if name == "sample_groups" else nullcontext():
                return call()
        finally:
            self._note(name)

    def _note(self, name: str) -> None:
        counts = self.backend.counts()
        self.phases[name] = max(self.phases.get(name, 0), counts["peak_bytes"])
        self.held[name] = counts["held_bytes"]
        self.backend.reset_peak()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.sizes = mean_sizes_of(batch, pl_module.policy)
        self.backend.reset_peak()
        self.phases.clear()

    def on_before_optimizer_step(self, *_: Any) -> None:
        self._note("backward")

    def on_train_batch_end(self, *_: Any) -> None:
        self._note("step")


def measured(case: str, folder: Path, backend: Any) -> dict[str, Any]:
    """Peak and estimate of two steps, in bytes."""
    kind, method, settings = CASES[case]
    base = torch.float32 if FLOAT32 in settings else torch.bfloat16
    model = WRITERS[kind](folder / f"{kind}", SIZE, device="cpu", dtype=base)
    data = ["demo.yaml", "--data.prompt=speech_emotion_short"]
    if kind == "text":
        data = ["jsonl.yaml", "--data.corpus.root", str(_corpus(folder))]
    words = [
        *(f"--config={CONFIGS}/policy/{FILES[kind]}", "--policy.path", str(model.folder)),
        *(f"--config={CONFIGS}/data/{data[0]}", *data[1:]),
        f"--config={CONFIGS}/method/{method}.yaml",
        *(*SETTINGS, *settings),
    ]
    if kind != "text":
        words = with_rationales(words, folder / "rationales.jsonl")
    watching = Peaks(backend)
    gc.collect()
    before = backend.counts()["held_bytes"]
    with Watch(backend, only_list=True) as watch, reading(model.make), fused_in(fused_attention):
        cli = assembled(words)
        watching.policy = cli.model.policy
        with timed(watching.measure):
            trainer_of(cli, watching).fit(cli.model, datamodule=cli.datamodule)
    found = {
        "case": case,
        "peak": max(watching.phases.values()) - before,
        "weights": int(sum(p.nbytes for p in cli.model.policy.parameters())),
        "refusals": watch.counts["refusals"],
        "sizes": vars(watching.sizes),
        "phases": {name: peak - before for name, peak in watching.phases.items()},
        "held": {name: held - before for name, held in watching.held.items()},
        **estimated(cli, watching.sizes),
    }
    cli.model.__dict__.clear()  # the trainer's references are a circle
    return found


def _corpus(folder: Path) -> Path:
    """Texts of about a hundred tokens with a rationale as long."""
    file = folder / "texts.jsonl"
    classes = ("anger", "happiness", "sadness", "neutral")
    rows: list[dict[str, Any]] = [{"categories": classes}]
    for number in range(24):
        votes = dict(zip(classes, (1 + number % 3, number % 2, number % 5, 1), strict=True))
        text = f"{number} people disagree. " + "It is very calm and people disagree. " * 15
        rows.append(
            {"id": f"t{number}", "text": text, "votes": votes, "speaker": f"s{number % 8}", "rationale": text}
        )
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return file


def main(cases: Sequence[str]) -> None:
    torch.set_num_threads(1)
    backend = register()
    train_on_it()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("XDG_CACHE_HOME", folder)
        for case in cases or CASES:
            print(json.dumps(measured(case, Path(folder), backend)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
