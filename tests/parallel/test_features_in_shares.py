"""Several processes compute a feature cache in shares: bit for bit what one process writes into one file."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.files.atomic import UNFINISHED

HERE = Path(__file__).parent
CLIPS = 60
Order = dict[str, Any]


@pytest.fixture(scope="module")
def share(cache_home: Path, demo_root: Path) -> Callable[..., list[list[int]]]:
    """Carries out orders of share_features.py one after the other; the exit codes of the processes of each."""
    clips = [str(clip) for clip in sorted(demo_root.rglob("*.wav"))[:CLIPS]]
    assert len(clips) == CLIPS

    def run(*orders: Order) -> list[list[int]]:
        done = subprocess.run(
            [sys.executable, str(HERE / "share_features.py"), *clips],
            input=json.dumps(
                [{"part": 8, "kill": None, **order, "root": str(order["root"])} for order in orders]
            ),
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
            env={
                **os.environ,
                "XDG_CACHE_HOME": str(cache_home),
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join([str(HERE), str(Path.cwd())]),
            },
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def features(root: Path) -> tuple[str, bytes, list[list[Any]]]:
    """A cache's name, all bytes of its features in the order of the clips, and its clips with their tokens."""
    (folder,) = root.glob("features-*")
    files = sorted(file for file in folder.rglob("features.bin") if UNFINISHED not in str(file))
    clips = [clip for file in files for clip in json.loads((file.parent / "index.json").read_text())["clips"]]
    return folder.name, b"".join(file.read_bytes() for file in files), [[path, n] for path, _, n in clips]


def encoded(root: Path, world: int) -> list[int]:
    return [int((root / f"clips-{rank}").read_text()) for rank in range(world)]


@pytest.mark.slow
def test_a_cache_made_in_shares_is_that_of_one_process(
    share: Callable[..., list[list[int]]], tmp_path: Path
) -> None:
    alone, two, three, killed = (tmp_path / name for name in ("alone", "two", "three", "killed"))
    codes = share(
        {"root": alone, "world": 1, "part": 1_000},
        {"root": two, "world": 2},
        {"root": three, "world": 3},
        {"root": killed, "world": 2, "kill": 16},
        {"root": killed, "world": 2},
    )
    assert codes[:3] == [[0], [0, 0], [0, 0, 0]]
    expected = features(alone)
    assert len(expected[1]) > 100_000
    for root in (two, three, killed):
        assert features(root) == expected
    # 8 parts of 8 clips, the last of 4; the first process hears the longest clip once more, to tell the size
    assert encoded(alone, 1) == [61]
    assert encoded(two, 2) == [33, 28]
    assert encoded(three, 3) == [25, 20, 16]
    assert codes[3][1] == -9 and codes[3][0] != 0
    assert codes[4] == [0, 0]
    assert encoded(killed, 2) == [9, 4], "what the killed run had done is kept"
