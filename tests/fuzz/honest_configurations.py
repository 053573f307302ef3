"""Configurations of users whose values look like classes, files or addresses, in a folder full of such names."""

import random
from pathlib import Path
from typing import Any

from hostile_configurations import PLACES
from planted import Attempt

from lalm_ambig.config.files import config_folder

WORDS = (
    "test.jsonl", "os.path", "datasets.jsonl", "planted.Thing", "torch.nn", "lalm_ambig.policies.tiny.Tiny", "auto",
    "json.yaml", "a.b.c", "yaml", "runs.d", "{{class_path: planted.Thing}}", "class_path: planted.Thing", "~/x.txt",
    "été.Thing", "50%", "a::b", "C:/x", "builtins.eval", "subprocess.Popen", "import os", "!!python/name:os.system",
)  # fmt: skip
"""Texts for places of texts: names of modules, of functions, of files."""
PLACED: dict[str, tuple[str, ...]] = {
    "data.rationales": WORDS,
    "data.prompt": WORDS,
    "data.glosses": WORDS,
    "run.root": WORDS,
    "run.name": WORDS,
    "data.corpus.init_args.root": WORDS,
}
"""Keys whose value is a text, or the path of something that is read later."""
CLASSES: dict[str, tuple[Any, ...]] = {
    "trainer.logger": (
        False,
        {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "os.path"}},
        {"class_path": "CSVLogger", "init_args": {"save_dir": "subprocess.Popen", "name": "planted.Thing"}},
    ),
    "trainer.callbacks": (
        None,
        [],
        ["lightning.pytorch.callbacks.LearningRateMonitor"],
        [{"class_path": "EarlyStopping", "init_args": {"monitor": "os.path"}}],
        [{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"dirpath": "s3.d"}}],
    ),
    "trainer.profiler": (None, "simple", "lightning.pytorch.profilers.SimpleProfiler"),
    "trainer.strategy": ("auto", "ddp", {"class_path": "lightning.pytorch.strategies.DDPStrategy"}),
    "trainer.accelerator": ("auto", "cpu"),
    "policy": ("lalm_ambig.policies.tiny.Tiny", {"class_path": "Tiny"}, "./policy.part", "policy.yaml"),
    "trainer.default_root_dir": (None, "os.path", "here", "s3://bucket/x", "file:///tmp/x"),
    "trainer.max_time": (None, "00:01:00:00"),
}
"""Keys with honest values of other kinds."""
METHODS = ("sft", "sft_kl_only", "dpo", "grpo", "grpoz", "mls", "shala")


def honest(folder: Path, number: int, seed: int) -> Attempt:
    """Configuration `number` of a seed: a shipped method on the demo, with a few values changed."""
    rng = random.Random(f"honest:{seed}:{number}")
    attempt = Attempt(folder, "planted")
    config = PLACES["policy"].filled({"class_path": "lalm_ambig.policies.tiny.Tiny"})
    del config["model"]
    chosen = rng.sample([*PLACED, *CLASSES], k=rng.randint(1, 5))
    for key in chosen:
        _put(config, key.split("."), rng.choice((PLACED | CLASSES)[key]))
    attempt.put("policy.part", {"class_path": "lalm_ambig.policies.tiny.Tiny"})
    attempt.put("policy.yaml", {"class_path": "lalm_ambig.policies.tiny.Tiny"})
    for name in (
        "auto",
        "simple",
        "ddp",
        "cpu",
        "os.path",
        "test.jsonl",
        "CSVLogger",
        "EarlyStopping",
        "null",
    ):
        attempt.put(name, {"class_path": attempt.thing})
    for name in ("runs/x", "test/x", "datasets/x", "torch.nn/x"):
        attempt.put(name, b"")
    method = config_folder() / f"method/{rng.choice(METHODS)}.yaml"
    own = attempt.put(rng.choice(("run.yaml", "run", "test.json.yaml")), config)
    attempt.arguments = [f"--config={method}", f"--config={own}"]
    attempt.kinds = tuple(chosen)
    return attempt


def _put(config: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        config = config.setdefault(key, {})
    config[keys[-1]] = value
