"""Computes a feature cache in several processes, forked from one that has imported everything and loaded the model.

Reads a list of JSON objects from standard input: `root` (the folder of the caches), `world` (number of processes),
`part` (clips of a part) and `kill` (null, or the number of clips after which the last process kills itself). Leaves
`clips-RANK` in the root: how many clips a process encoded. Arguments: the clips.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import soundfile
import torch.distributed as dist
from fork_server import free_port

from lalm_ambig.core.types import Item
from lalm_ambig.data import feature_cache
from lalm_ambig.policies.tiny import Tiny


def main() -> None:
    items = [
        Item(clip, (1.0,), audio=clip, duration_s=soundfile.info(clip).duration) for clip in sys.argv[1:]
    ]
    policy = Tiny()
    policy.load()
    policy.eval()
    for order in json.load(sys.stdin):
        port = free_port()
        children = [_forked(compute, policy, items, order, rank, port) for rank in range(order["world"])]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)


def _forked(work: Callable[..., None], *given: Any) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work(*given)
        os._exit(0)
    finally:
        os._exit(1)


def compute(policy: Tiny, items: Sequence[Item], order: dict[str, Any], rank: int, port: int) -> None:
    root, world = Path(order["root"]), order["world"]
    if world > 1:
        dist.init_process_group(
            "gloo",
            rank=rank,
            world_size=world,
            init_method=f"tcp://127.0.0.1:{port}",
            timeout=timedelta(seconds=60),
        )
    feature_cache.CLIPS_PER_PART = order["part"]
    read, count = feature_cache.read_audio, 0

    def counted(*args: Any, **named: Any) -> Any:
        nonlocal count
        if order["kill"] == count and rank == world - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return read(*args, **named)

    feature_cache.read_audio = counted
    cache = feature_cache.cached_features(policy, items, root)
    assert all(len(cache.get(str(item.audio))) for item in items)
    (root / f"clips-{rank}").write_text(str(count))


if __name__ == "__main__":
    main()
