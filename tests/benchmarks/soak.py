"""A long run of `fit`: does its memory stay flat? Resident memory by optimiser step, as a Markdown table.

    python tests/benchmarks/soak.py --steps 10000 -- --preset demo
    python tests/benchmarks/soak.py --steps 2000 -- --preset demo_grpo_own --model.start RUN/best

Words after `--` are those of `fit`. It is run in a process of its own, with validation now and then, and its resident
memory is written down a hundred times. What counts is the median of the last tenth over that of the second: in the
first one, caches fill.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lightning import Callback

NOTES = 100
VALIDATIONS = 10
FILE = "SOAK_FILE"


class Watch(Callback):
    """Writes down the process's resident memory at even distances."""

    def on_train_batch_end(self, trainer: Any, *_: object) -> None:
        every = max(1, trainer.max_steps // NOTES)
        if trainer.global_step % every == 0:
            status = Path("/proc/self/status").read_text().splitlines()
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
            with Path(os.environ[FILE]).open("a") as file:
                file.write(json.dumps([trainer.global_step, resident]) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("words", nargs="*", help="words for fit, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.jsonl"
        words = {
            "--trainer.max_epochs": -1,
            "--trainer.max_steps": options.steps,
            "--trainer.val_check_interval": options.steps // VALIDATIONS,
            "--trainer.check_val_every_n_epoch": "null",
            "--trainer.callbacks": json.dumps([{"class_path": "soak.Watch"}]),
            "--trainer.enable_progress_bar": "false",
            "--run.root": folder,
        }
        command = [
            sys.executable,
            "-m",
            "lalm_ambig.fit",
            "--allow-any-class",
            *options.words,
            *map(str, sum(words.items(), ())),
        ]
        paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, FILE: str(notes), "PYTHONPATH": os.pathsep.join(paths)}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        found = dict(json.loads(line) for line in notes.read_text().splitlines())
    steps = sorted(found)
    print("| step | resident, MB |\n|---|---|")
    for step in steps[9::10]:
        print(f"| {step:,} | {found[step]:.0f} |")
    tenth = len(steps) // 10
    early = statistics.median(found[step] for step in steps[tenth : 2 * tenth])
    late = statistics.median(found[step] for step in steps[-tenth:])
    print(f"\nlast tenth over second tenth: {late / early:.4f}")


if __name__ == "__main__":
    main()
