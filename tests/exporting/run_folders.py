"""Run folders as fit leaves them, made without training: a configuration, and weights that were moved."""

from collections.abc import Callable
from pathlib import Path

from small_model import nudge

from lalm_ambig.config.cli import parse
from lalm_ambig.runs.folder.run_folder import RunFolder

MakeRun = Callable[..., Path]
"""Takes a name, options of fit, and `finished`."""
USUAL = ("--policy.adapter.rank=4", "--policy.adapter.projector=false", "--policy.adapter.audio_tower=false")
CARD = (
    "---\nbase_model: somewhere\nlibrary_name: peft\n---\n\n# lora\n\n## Results\n\n| JS |\n\n"
    "## How to ask it\n\n`PeftModel` reads it.\n\n## To be added before it is passed on\n\n- licence\n"
)
"""In the form of the one that fit writes."""


def write_run(folder: Path, demo_root: Path, *options: str, finished: bool) -> Path:
    """A run of the tiny model on the demo; LoRA on the language model unless the options say otherwise."""
    run = RunFolder(folder)
    cli = parse([f"--data.corpus.root={demo_root}", *USUAL, *options])
    run.record(cli.resolved(), "0")
    if finished:
        cli.model.policy.load()
        nudge(cli.model.policy)
        cli.model.policy.save(run.adapter)
        (run.adapter / "README.md").write_text(CARD)
    return run.path
