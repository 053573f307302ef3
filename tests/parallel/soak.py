"""Runs that are killed at random moments until they end, compared with runs that were left alone.

python tests/parallel/soak.py --kills 30      (not a test: twenty minutes on two cores)
"""

import argparse
import itertools
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from small_runs import ForkServer, left, words

from lalm_ambig.corpora.demo.writer import DemoSettings, write_demo


def main() -> int:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    write_demo(folder / "corpus", DemoSettings(actors=10, clips_per_actor=6))
    server, chance = ForkServer(folder / "cache"), random.Random(options.seed)
    start, kills, wrong = time.monotonic(), 0, 0
    for number, (method, world) in enumerate(
        itertools.cycle(itertools.product(("sft", "dpo", "grpo"), (1, 2)))
    ):
        if kills >= options.kills:
            break
        runs = [folder / f"{number}-{kind}" for kind in ("whole", "killed")]
        given = [words(method, folder / "corpus", run, world=world) for run in runs]
        began = time.monotonic()
        _must_end(server.run(given[0], folder / "log", world=world), folder / "log")
        took, own = time.monotonic() - began, 0
        while any(server.run(given[1], folder / "log", world=world, **_moment(chance, took, own))):
            own += 1
        same = left(runs[0] / "r") == left(runs[1] / "r")
        kills, wrong = kills + own, wrong + (not same)
        print(
            f"{method}, {world} process(es): {own} kills, {'the same' if same else 'DIFFERENT'}", flush=True
        )
    server.close()
    print(
        f"{kills} kills in {time.monotonic() - start:.0f} s, {wrong} runs different; seed {options.seed}; {folder}"
    )
    return 1 if wrong else 0


def _moment(chance: random.Random, took: float, kills: int) -> dict[str, float]:
    """Seconds to live, anywhere in the run; forever, once it was killed often enough."""
    return {"kill_after_s": chance.uniform(0.1, took)} if kills < 8 else {}


def _must_end(codes: list[int], log: Path) -> None:
    if any(codes):
        raise SystemExit(f"a run that was left alone ended with {codes}:\n{log.read_text()[-2000:]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
