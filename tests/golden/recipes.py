"""The runs whose first steps are stored: one preset per method, made small, and what is compared of them."""

import csv
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lalm_ambig.config.files import config_folder
from lalm_ambig.fit import run_all

STEPS = 30
SEEDS = (0, 1)
"""A token that rounding changes in the first steps moves one seed's curve; a fault of the code moves both."""
CURVES = Path(__file__).parent / "curves"
CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
Curves = Mapping[str, list[float]]
"""Values per optimiser step, by column of metrics.csv."""
COLUMNS = (
    "lr-AdamW",
    "train/loss",
    "train/ce",
    "train/kl",
    "train/kl_to_reference",
    "train/on_policy_kl",
    "train/class_mass",
    "train/preference",
    "train/margin",
    "train/reward",
    "train/rollouts/js_div_bits",
)
"""What is compared, where the run has it."""
SMALL = (
    "--data.limit=16",
    "--data.rationale_part=heard",
    "--data.batch_size=4",
    "--data.items_per_update=4",
    "--data.eval_batch_size=16",
    "--model.optimiser.warmup_share=0.2",
    "--model.generation.max_new_tokens=1",
    "--model.generation.validation_items=1",
    "--trainer.accelerator=cpu",
    f"--trainer.max_steps={STEPS}",
    "--trainer.max_epochs=1000",
    "--trainer.limit_val_batches=0",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--run.probe=false",
    "--run.samples=0",
    "--run.checkpoint_steps=1000",
    "--run.rollout_steps=1000",
    "--run.gradient_steps=0",
)
"""A few items and short answers. The warm-up takes six steps, so that a lost one shows. Training starts from the random
base model: a start trained in the test would be a little different on each machine, and that little grows."""
SAMPLED = ("--model.sampling.max_new_tokens=8", "--model.sampling.top_k=2")
"""A token is one of two: rounding then changes one in 200,000, and without top-k one in 4,000."""
GROUPS = (*SAMPLED, "--model.grouping.group_size=4")


@dataclass(frozen=True)
class Recipe:
    """A run of `fit`."""

    preset: str
    """File in configs/preset/."""
    words: tuple[str, ...] = ()
    """Options beside those of `SMALL`."""

    @property
    def samples(self) -> bool:
        """Whether its curves turn on sampled tokens."""
        return bool(self.words)


RECIPES = {
    "sft": Recipe("demo_reasoning"),
    "dpo": Recipe("demo_dpo", SAMPLED),
    "grpo": Recipe("demo_grpo", GROUPS),
    "grpoz": Recipe("demo_grpoz", GROUPS),
    "sft_own": Recipe("demo_reasoning_own_mass", SAMPLED),
    "grpo_own": Recipe("demo_grpo_own", GROUPS),
}
"""The papers' forms, and ours of SFT and GRPO."""


def train(name: str, root: Path, *more: str, seed: int = 0) -> dict[str, list[float]]:
    """Train a recipe by `fit` in a folder of its own, and return its curves.

    Args:
        name: Of the recipe.
        root: Folder of runs.
        more: Further options.
        seed: Of the run.
    """
    recipe, run = RECIPES[name], f"{name}_{seed}"
    words = [f"--config={config_folder() / 'preset' / recipe.preset}.yaml", *SMALL, *recipe.words, *more]
    with Path(os.devnull).open("w") as nowhere:
        run_all([*words, f"--seed={seed}", f"--run.root={root}", f"--run.name={run}"], Console(file=nowhere))
    return read(root / run / "metrics.csv")


def read(metrics: Path) -> dict[str, list[float]]:
    """The curves of a run's metrics.csv, to six digits."""
    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curves = {}
    for column in COLUMNS:
        of_step = {int(row["step"]): float(row[column]) for row in rows if row.get(column)}
        if of_step:
            curves[column] = [float(f"{of_step[step]:.6g}") for step in range(STEPS)]
    return curves


def file_of(name: str, seed: int) -> Path:
    """The file of a recipe's stored curves."""
    return CURVES / f"{name}_{seed}.json"


def stored(name: str, *, seed: int = 0) -> dict[str, list[float]]:
    """The curves of a recipe that the repository holds."""
    return json.loads(file_of(name, seed).read_text(encoding="utf-8"))["curves"]


def declaration() -> str:
    """What CHANGELOG.md must say for the stored curves: `golden curves` and the first digits of their SHA-256."""
    curves = [stored(name, seed=seed) for name in sorted(RECIPES) for seed in SEEDS]
    return f"golden curves {hashlib.sha256(json.dumps(curves, sort_keys=True).encode()).hexdigest()[:12]}"
