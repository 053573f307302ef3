"""Reading a large JSON Lines file for the first time and again: seconds, and the peak of memory with all imports.

    python tests/benchmarks/million_rows.py --rows 1000 100000 1000000

Each reading is a process of its own. The first one checks every row and writes the table of items; later ones open it.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import last_line_of, peak_rss_mb

CLASSES = ("anger", "joy", "sadness")


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
                "split": "train" if number % 20 else "test",
            }
            file.write(json.dumps(row) + "\n")


def read(path: Path) -> None:
    """Read the file as `fit` does, and print seconds and memory."""
    from lalm_ambig.config.cli import parse

    words = (
        "--policy",
        "tiny",
        "--data",
        "jsonl",
        "--method",
        "sft_kl_only",
        "--data.corpus.root",
        str(path),
    )
    cli = parse(words)
    before, start = peak_rss_mb(), time.perf_counter()
    cli.datamodule.setup("fit")
    result = {"seconds": time.perf_counter() - start, "mb_before": before, "peak_mb": peak_rss_mb()}
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        return read(options.read)
    print("| rows | reading | seconds | peak, MB | of which imports |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        for rows in options.rows:
            path = Path(folder) / f"{rows}.jsonl"
            write(path, rows)
            for reading in ("first", "again"):
                command = [sys.executable, __file__, "--read", str(path)]
                found: dict[str, Any] = last_line_of(command, environment=environment)
                cells = (f"{found['seconds']:.1f}", f"{found['peak_mb']:.0f}", f"{found['mb_before']:.0f}")
                print(f"| {rows:,} | {reading} | {' | '.join(cells)} |", flush=True)
    return None


if __name__ == "__main__":
    main()
