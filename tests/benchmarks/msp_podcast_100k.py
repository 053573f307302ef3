"""MSP-Podcast at full size: time and memory of one reading of its labels, in each of the three layouts.

Run as `python tests/benchmarks/msp_podcast_100k.py [TURNS]`. It writes the votes of TURNS turns by five to nine
raters, one in thirty for `Other`, with empty sound files and short transcripts, and reads each layout in a process
of its own.
"""

import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import in_own_process, peak_mb

PRIMARY = ("Angry", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
FILES = {"txt": "labels.txt", "csv": "labels_detailed.csv", "json": "labels_detailed.json"}
TAIL = "A:3.000000; V:4.000000; D:4.000000;"
VALUES = {"EmoClass_Second": "Neutral,Amused", "EmoAct": 3.0, "EmoVal": 4.0, "EmoDom": 4.0}


def turns(count: int) -> Iterator[tuple[str, dict[str, str]]]:
    """File name, and primary emotion by worker, the same at every call."""
    rng = np.random.default_rng(0)
    for n in range(count):
        raters = int(rng.integers(5, 10))
        first = int(rng.integers(0, 12_000))
        votes = [
            "Other-bored" if other < 1 / 30 else PRIMARY[word]
            for other, word in zip(rng.random(raters), rng.integers(0, 8, raters), strict=True)
        ]
        workers = [f"WORKER{first + place:08d}" for place in range(raters)]
        yield f"MSP-PODCAST_{n // 400:04d}_{n % 400:04d}.wav", dict(zip(workers, votes, strict=True))


def write_corpus(root: Path, count: int) -> None:
    for folder in ("Labels", "Audios", "Transcripts"):
        (root / folder).mkdir()
    labels = root / "Labels"
    with (
        (labels / "labels.txt").open("w") as txt,
        (labels / "labels_detailed.csv").open("w", newline="") as detailed,
        (labels / "labels_consensus.csv").open("w", newline="") as consensus,
    ):
        rows, about = csv.writer(detailed), csv.writer(consensus)
        rows.writerow(["FileName", "EmoDetail"])
        about.writerow(
            ["FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set"]
        )
        for n, (name, votes) in enumerate(turns(count)):
            lines = [f"{worker}; {vote}; Neutral,Amused; {TAIL}" for worker, vote in votes.items()]
            txt.write("\n".join([f"{name}; X; {TAIL}", *lines, "", ""]))
            rows.writerows([name, line] for line in lines)
            about.writerow(
                [name, "X", 3.0, 4.0, 4.0, n % 2000, "Male", ("Train", "Development", "Test1")[n % 3]]
            )
            (root / "Audios" / name).touch()
            (root / "Transcripts" / name.replace(".wav", ".txt")).write_text("These are a few words.\n")
    whole = {
        name: {worker: {"EmoClass_Major": vote, **VALUES} for worker, vote in votes.items()}
        for name, votes in turns(count)
    }
    (labels / "labels_detailed.json").write_text(json.dumps(whole))


def read(root: Path, layout: str) -> str:
    """One reading, all items taken and let go."""
    from lalm_ambig.corpora.base import open_corpus

    before_mb = peak_mb()
    begin_s = time.perf_counter()
    corpus = open_corpus("msp_podcast", root, labels=layout)
    items = sum(1 for _ in corpus.read())
    took_s = time.perf_counter() - begin_s
    return f"{layout:4}: {items:,} items in {took_s:.1f} s, +{peak_mb() - before_mb:.0f} MB"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        in_own_process(write_corpus, root, count)
        for layout, file_name in FILES.items():
            size_mb = (root / "Labels" / file_name).stat().st_size / 1e6
            print(f"{in_own_process(read, root, layout)} ({size_mb:.0f} MB of labels)", flush=True)


if __name__ == "__main__":
    main()
