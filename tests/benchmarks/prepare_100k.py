"""Start-up of a corpus of 100,000 clips: time and memory of the first check, of the second start, and of use.

Run as `python tests/benchmarks/prepare_100k.py [ITEMS]`. It writes ITEMS real sound files of 0.15 s into a
temporary folder and measures each start in a process of its own.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from common import in_own_process, peak_mb

CLIPS_PER_FOLDER = 1000


def write_corpus(folder: Path, items: int) -> Path:
    """A JSON Lines corpus of that many short clips in six classes."""
    rng = np.random.default_rng(0)
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        file.write(
            json.dumps({"categories": ["anger", "disgust", "fear", "happiness", "neutral", "sadness"]}) + "\n"
        )
        for n in range(items):
            audio = f"clips/{n // CLIPS_PER_FOLDER}/{n}.wav"
            if n % CLIPS_PER_FOLDER == 0:
                (folder / audio).parent.mkdir(parents=True)
            soundfile.write(folder / audio, rng.normal(0, 0.1, 2400), 16_000)
            row = {
                "id": f"clip{n}",
                "audio": audio,
                "text": f"This is sentence {n}.",
                "speaker": f"s{n % 500}",
            }
            file.write(json.dumps({**row, "votes": {"anger": n % 5, "neutral": 3, "sadness": n % 3}}) + "\n")
    return folder / "items.jsonl"


def start(root: Path, cache: Path) -> str:
    """One start of a training as far as its data: prepare, then touch items of the training split."""
    from lalm_ambig.corpora.base import open_corpus
    from lalm_ambig.corpora.preparing.prepared import prepare

    before_mb = peak_mb()
    begin_s = time.perf_counter()
    prepared = prepare(open_corpus("jsonl", root), cache_dir=cache, quiet=True)
    ready_s = time.perf_counter() - begin_s
    ready_mb = peak_mb()
    train = prepared.items("train")
    begin_s = time.perf_counter()
    seconds = sum(item.duration_s for item in train)
    walk_s = time.perf_counter() - begin_s
    state = "second start" if prepared.from_cache else "first start "
    ready = f"ready after {ready_s:6.2f} s, +{ready_mb - before_mb:5.1f} MB"
    about = f"{len(train):,} items ({seconds / 3600:.1f} h)"
    walk = f"a walk over {about}: {walk_s:.1f} s, +{peak_mb() - ready_mb:.1f} MB"
    return f"{state}: {ready} (imports {before_mb:.0f} MB); {walk}"


def main() -> None:
    items = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        root = write_corpus(Path(name), items)
        print(f"{items:,} clips, labels {root.stat().st_size / 1e6:.1f} MB")
        for _ in range(2):
            print(in_own_process(start, root, Path(name) / "cache"), flush=True)
        sizes = [path.stat().st_size for path in (Path(name) / "cache").rglob("*") if path.is_file()]
        print(f"on disk {sum(sizes) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
