"""A large JSON Lines file, for the first time and again: CPU seconds, and the peak of memory with all imports.

    python tests/benchmarks/million_rows.py --rows 1000 100000 1000000

`read` is the reading alone: the first one checks every row and writes the table of items, later ones open it. `start`
is a whole `fit` without its imports, up to the first training step, of another copy of the file. Each is a process of
its own. CPU seconds are those of all threads: other programs on the machine change them less than the clock.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import last_line_of, peak_rss_mb

CLASSES = ("anger", "joy", "sadness")
HELD_OUT = 200
"""Items each of validation and test."""


def write(path: Path, rows: int) -> None:
    """Write so many rows of text with votes."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"categories": CLASSES}) + "\n")
        for number in range(rows):
            row = {
                "id": f"t{number}",
                "text": f"sentence number {number} tells of a {draw.choice(('fine', 'bad', 'long'))} day",
                "votes": {name: draw.randint(1, 4) for name in CLASSES},
                "split": {0: "validation", 1: "test"}.get(number % (rows // HELD_OUT), "train"),
            }
            file.write(json.dumps(row) + "\n")


def words(path: Path) -> list[str]:
    """The command line of `fit`."""
    settings = {"policy": "tiny", "data": "jsonl", "method": "sft_kl_only", "data.corpus.root": path}
    settings |= {
        "run.root": path.parent / "runs",
        "run.probe": "false",
        "trainer.enable_progress_bar": "false",
    }
    return [f"--{key}={value}" for key, value in settings.items()]


def read(path: Path) -> None:
    """Read the file as `fit` does, and print seconds and memory."""
    from lalm_ambig.config.cli import parse

    cli = parse(words(path))
    before, begin = peak_rss_mb(), time.process_time()
    cli.datamodule.setup("fit")
    tell(begin, before)


def start(path: Path) -> None:
    """Begin a fit, and print seconds and memory at its first step."""
    from rich.console import Console

    from lalm_ambig import fit
    from lalm_ambig.methods.sft import SFT

    before, begin = peak_rss_mb(), time.process_time()

    def first_step(*_: Any) -> None:
        tell(begin, before)
        os._exit(0)

    SFT.training_step = first_step  # type: ignore[method-assign, assignment]
    fit.train(words(path), Console(quiet=True))


def tell(begin: float, before: float) -> None:
    result = {"seconds": time.process_time() - begin, "mb_before": before, "peak_mb": peak_rss_mb()}
    print(json.dumps(result), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read or options.start:
        return read(options.read) if options.read else start(options.start)
    print("| rows | what | CPU seconds | peak, MB | of which imports | load |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        for rows, what in itertools.product(options.rows, ("read", "start")):
            path = Path(folder) / f"{what}-{rows}.jsonl"
            write(path, rows)
            for turn in ("first", "again"):
                shutil.rmtree(Path(folder) / "runs", ignore_errors=True)
                command = [sys.executable, __file__, f"--{what}", str(path)]
                found: dict[str, Any] = last_line_of(command, environment=environment)
                cells = (f"{found['seconds']:.1f}", f"{found['peak_mb']:.0f}", f"{found['mb_before']:.0f}")
                load = f"{os.getloadavg()[0]:.1f}"
                print(f"| {rows:,} | {what}, {turn} | {' | '.join(cells)} | {load} |", flush=True)
    return None


if __name__ == "__main__":
    main()
