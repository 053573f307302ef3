"""How the time and memory of a GRPO step grow with the corpus, with K and with the responses' length (tiny model, CPU).

    python tests/benchmarks/scaling.py [--sizes 1000 100000] [--rollouts 2 4 8] [--tokens 16 64 128] [--folder DIR]

Corpora are those of `startup.py`: so many real sound files, with cached features. Each row is a process of its own, and
changes one number of the middle case (the first size, the middle K and length). Printed is a Markdown table: the median
step of eight items in seconds, of processor time too, and the peak of resident memory.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from common import last_line_of, peak_rss_mb

WARM_UP, STEPS = 2, 8


def one(options: Any) -> None:
    """Some steps in this process; prints their median and the peak of memory as JSON."""
    import torch
    from startup import settings, write_listing
    from trl_peer import descend

    from lalm_ambig.config.cli import parse
    from lalm_ambig.runs.session import connect

    torch.set_num_threads(1)
    items, rollouts, tokens = json.loads(options.one)
    given = settings(write_listing((options.folder / str(items)).resolve(), items), "none", method="grpo")
    own = {
        "model.grouping.group_size": rollouts,
        "model.sampling.max_new_tokens": tokens,
        "data.batch_size": 8,
    }
    cli = parse([*given, *(f"--{name}={value}" for name, value in own.items())])
    data: Any = connect(cli.model, cli.datamodule, training=True)
    cli.model.policy.ends = []  # every response has all its tokens
    data.trainer = SimpleNamespace(accumulate_grad_batches=1)
    optimiser = torch.optim.AdamW([p for p in cli.model.policy.parameters() if p.requires_grad], lr=1e-5)
    batches = iter(data.train_dataloader())
    wall, processor = [], []
    for _ in range(WARM_UP + STEPS):
        begin = time.perf_counter(), time.process_time()
        descend(cli.model, next(batches), optimiser)
        wall.append(time.perf_counter() - begin[0])
        processor.append(time.process_time() - begin[1])
    seconds = {"step": median(wall[WARM_UP:]), "processor": median(processor[WARM_UP:])}
    print(json.dumps({**seconds, "peak": peak_rss_mb()}))


def cases(options: Any) -> list[tuple[int, int, int]]:
    """Items, K and tokens of every row, the middle case once."""
    size, rollouts = options.sizes[0], options.rollouts[len(options.rollouts) // 2]
    tokens = options.tokens[len(options.tokens) // 2]
    rows = [(n, rollouts, tokens) for n in options.sizes]
    rows += [(size, k, tokens) for k in options.rollouts] + [(size, rollouts, c) for c in options.tokens]
    return list(dict.fromkeys(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--rollouts", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--tokens", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--folder", type=Path, help="where the corpora are kept; by default a temporary one")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = (options.folder or Path(name)).resolve()
        print("| items listed | K | tokens | step s | processor s | peak MB |\n|---|---|---|---|---|---|")
        for case in cases(options):
            place = folder / str(case[0])
            place.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, __file__, "--one", json.dumps(case), "--folder", str(folder)]
            surroundings = {**os.environ, "XDG_CACHE_HOME": str(place / "cache")}
            found = last_line_of(command, environment=surroundings)
            items, rollouts, tokens = case
            cells = f"{found['step']:.2f} | {found['processor']:.2f} | {found['peak']:.0f}"
            print(f"| {items:,} | {rollouts} | {tokens} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
