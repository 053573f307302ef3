"""Seconds and memory that `describe` takes on made rows of GoEmotions' size; the last line is JSON.

python tests/benchmarks/describe_goemotions.py [--comments N] [--rows N]

Three files of N rows by three or five raters a comment, in no order, in the columns of the release; then one
process that reads them for the first time and one that finds them checked.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lalm_ambig.corpora.goemotions.rows import LABELS

COMMENTS = 58_009
ROWS = 211_225
FILES = 3
WORDS = (
    "this",
    "game",
    "never",
    "[NAME]",
    "really",
    "thanks",
    "what",
    "people",
    "good",
    "sorry",
    "I",
    "you",
    "lol",
)
HEADER = ("text", "id", "author", "subreddit", "link_id", "parent_id", "created_utc", "rater_id")


def made_rows(comments: int, rows: int, rng: random.Random) -> Iterator[list[object]]:
    """Every comment is judged by three raters; pairs of raters are added to some until there are that many rows."""
    sizes = [3] * comments
    for extra in range((rows - 3 * comments) // 2):
        sizes[extra % comments] += 2
    sizes[-1] += (rows - 3 * comments) % 2
    for n, size in enumerate(sizes):
        text = " ".join(rng.choices(WORDS, k=rng.randint(3, 24))) + f", {n}."
        likely = rng.sample(range(len(LABELS)), 3)
        for rater in rng.sample(range(82), size):
            unclear = rng.random() < 0.016
            given = {rng.choice(likely)} | ({rng.choice(likely)} if rng.random() < 0.2 else set())
            labels = [int(label in given and not unclear) for label in range(len(LABELS))]
            about = [text, f"e{n:06x}", f"user{n % 9999}", "made_up", f"t3_{n}", f"t1_{n}", 1548381039.0 + n]
            yield [*about, rater, unclear, *labels]


def write_corpus(folder: Path, comments: int, rows: int) -> None:
    """The files of such a corpus."""
    rng = random.Random(0)
    everything = list(made_rows(comments, rows, rng))
    rng.shuffle(everything)
    for number in range(FILES):
        with (folder / f"goemotions_{number + 1}.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow([*HEADER, "example_very_unclear", *LABELS])
            lines.writerows(everything[number::FILES])


def measured(root: Path, cache: Path) -> dict[str, float]:
    """Wall time and peak of memory of one `describe` in a process of its own."""
    command = [sys.executable, "-m", "lalm_ambig.describe", "--corpus", "goemotions", "--root", str(root)]
    begin_s = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, "XDG_CACHE_HOME": str(cache)}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("describe failed")
    return {"seconds": round(time.perf_counter() - begin_s, 2), "peak_mb": round(usage.ru_maxrss / 1024, 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--comments", type=int, default=COMMENTS)
    parser.add_argument("--rows", type=int, default=ROWS)
    given = parser.parse_args()
    if given.rows < 3 * given.comments:
        parser.error("every comment needs three rows")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "corpus")
        root.mkdir()
        write_corpus(root, given.comments, given.rows)
        size_mb = sum(path.stat().st_size for path in root.iterdir()) / 1e6
        starts = {start: measured(root, Path(name, "cache")) for start in ("first_start", "second_start")}
    print(json.dumps({**vars(given), "size_mb": round(size_mb, 1), **starts}))


if __name__ == "__main__":
    main()
