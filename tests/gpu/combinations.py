"""Small models and texts for runs of `fit`, and the arguments that combine them with every method."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from small_checkpoints import write_causal_lm, write_omni

CONFIGS = Path(__file__).parents[2] / "configs"
CLASSES = ("anger", "happiness", "sadness", "neutral")
POLICIES = ("tiny", "omni", "text")
"""The embedded audio model, a thinker of Qwen2.5-Omni, and a text model of Qwen3."""

LAYERS = (2, 4)
"""Layers of two text models of Qwen2, whose difference shows what a layer asks of a device."""


def write_small_inputs(folder: Path) -> Path:
    """The folder with two checkpoints and a corpus of texts in it; they are made once."""
    corpus = folder / "text.jsonl"
    if corpus.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    write_omni(folder / "omni")
    write_causal_lm(folder / "text", "qwen3", head_dim=16)
    for layers in LAYERS:
        write_causal_lm(folder / f"text of {layers} layers", "qwen2", num_hidden_layers=layers)
    lines = [json.dumps({"categories": CLASSES}), *(json.dumps(_row(number)) for number in range(24))]
    corpus.write_text("\n".join(lines) + "\n")
    return folder


def _row(number: int) -> dict[str, object]:
    votes = (1 + number % 3, number % 2, number % 5, 1)
    return {
        "id": f"t{number}",
        "text": f"It is {'very ' * (number % 5)}calm",
        "votes": dict(zip(CLASSES, votes, strict=True)),
        "speaker": f"s{number % 8}",
        "rationale": "The words are calm and people disagree.",
    }


def words(policy: str, method: str, inputs: Path, *, runs: Path, name: str) -> list[str]:
    """Arguments of `fit`: eight items, two steps, a state before each, few tokens."""
    files = {
        "tiny": ["tiny.yaml"],
        "omni": ["qwen2_5_omni.yaml", "--policy.path", str(inputs / "omni")],
        **{
            name: ["causal_lm.yaml", "--policy.path", str(inputs / name)]
            for name in ("text", *(f"text of {layers} layers" for layers in LAYERS))
        },
    }
    file, *more = files[policy]
    frozen_tower = ["--policy.adapter.audio_tower", "false"] if policy == "tiny" else []
    data = ["demo.yaml"]
    if policy.startswith("text"):
        data = ["jsonl.yaml", "--data.corpus.root", str(inputs / "text.jsonl")]
    return [
        f"--config={CONFIGS}/policy/{file}",
        *more,
        *frozen_tower,
        f"--config={CONFIGS}/data/{data[0]}",
        *data[1:],
        f"--config={CONFIGS}/method/{method}.yaml",
        *_small(),
        *("--run.root", str(runs), "--run.name", name),
    ]


def _small() -> Sequence[str]:
    settings = {
        "run.checkpoint_steps": 1,
        "trainer.max_epochs": 1,
        "trainer.enable_progress_bar": "false",
        "trainer.log_every_n_steps": 1,
        "data.limit": 8,
        "data.batch_size": 4,
        "data.items_per_update": 4,
        "data.eval_batch_size": 4,
        "model.generation.max_new_tokens": 12,
        "model.generation.validation_items": 4,
    }
    return [f"--{key}={value}" for key, value in settings.items()]
