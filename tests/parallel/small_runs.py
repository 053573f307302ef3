"""Small runs of each method for tests of several processes and of interruptions, and what they leave to be compared."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Whole = Callable[[str, int], Path]
"""The folder of an uninterrupted run of a method, in so many processes."""
HERE = Path(__file__).parent
CLASSES = {"sft": "sft.SFT", "own": "sft.SFT", "dpo": "dpo.DPO", "grpo": "grpo.GRPO", "step": "grpo.GRPO"}
SAMPLED = ["--model.sampling.max_new_tokens=10", "--model.sampling.temperature=1.0"]
METHODS: dict[str, list[str]] = {
    "sft": ["--model.objective.ce_weight=1.0", "--model.objective.kl_weight=1.0"],
    "dpo": [*SAMPLED, "--model.negatives.group_size=2", "--model.negatives.js_threshold=0.01"],
    "grpo": [
        *SAMPLED,
        "--model.grouping.group_size=2",
        "--model.grouping.updates=2",
        "--model.objective.kl_weight=0.04",
    ],
    "own": [*SAMPLED, "--model.objective.on_policy_kl_weight=1.0", "--model.objective.class_mass_weight=0.5"],
    "step": [
        *SAMPLED,
        "--model.grouping.group_size=2",
        "--model.grouping.advantage_scale=batch",
        "--model.grouping.name_in_loss=true",
        "--model.objective.average=token",
        "--model.objective.kl_weight=0.04",
        "--model.objective.on_policy_kl_weight=1.0",
        "--model.objective.curated_ce_weight=0.5",
    ],
}
STEPS_OF_AN_EPOCH = {"sft": 3, "dpo": 3, "grpo": 6}


def words(
    method: str,
    corpus: Path,
    runs: Path,
    *more: str,
    world: int = 1,
    dropout: float = 0.1,
    learning_rate: float = 0.01,
) -> list[str]:
    """Arguments of `fit`: 12 items, 4 a step over all processes, two epochs, a state every two steps."""
    return [
        "--policy=tiny",
        "--data=demo",
        f"--model=lalm_ambig.methods.{CLASSES[method]}",
        "--model.reasoning=true",
        f"--model.optimiser.learning_rate={learning_rate}",
        "--model.generation.max_new_tokens=4",
        "--model.generation.validation_items=3",
        *METHODS[method],
        *(
            f"--policy.adapter.{field}"
            for field in ("method=lora", "projector=false", "audio_tower=false", "rank=4")
        ),
        f"--policy.adapter.dropout={dropout}",
        f"--data.corpus.root={corpus}",
        "--data.limit=12",
        f"--data.batch_size={4 // world}",
        "--data.items_per_update=4",
        "--data.eval_batch_size=12",
        "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu",
        f"--trainer.devices={world}",
        "--trainer.log_every_n_steps=1",
        "--trainer.enable_progress_bar=false",
        "--run.checkpoint_steps=2",
        "--run.rollout_steps=1",
        f"--run.root={runs}",
        "--run.name=r",
        *more,
    ]


class ForkServer:
    """One process that has imported everything and forks runs (see fork_server.py)."""

    def __init__(self, cache: Path) -> None:
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(cache),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(HERE), str(Path.cwd())]),
            "COLUMNS": "200",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "fork_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        world: int = 1,
        kill: tuple[str, int] | None = None,
        **spoilt: Any,
    ) -> list[int]:
        """Exit codes of a run's processes; `spoilt` is what goes wrong (see fork_server.py)."""
        assert self.process.stdin and self.process.stdout
        order = {"words": list(arguments), "world": world, "log": str(log), "kill": kill, **spoilt}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        codes: list[int] = json.loads(self.process.stdout.readline())
        return codes

    def close(self) -> None:
        self.process.communicate()


def left(run: Path) -> dict[str, Any]:
    """Everything that a run's result is, file by file."""
    texts = ["metrics.csv", "samples.jsonl", "rollouts.jsonl", "selection.json", "results.md"]
    texts += ["evaluation/validation/trained/predictions.jsonl"]
    found: dict[str, Any] = {name: (run / name).read_text() for name in texts if (run / name).is_file()}
    for name in ("checkpoints/best.safetensors", "adapter/adapter_model.safetensors"):
        found[name] = (run / name).read_bytes()
    return found
