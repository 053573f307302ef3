"""A command in several processes ends with its own exit code, whatever the threads of the process group still hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, os, sys, threading, time
import torch, torch.distributed as dist
from lalm_ambig.core.errors import InputError, run_command

class Global:
    def __del__(self):
        print("taken down", flush=True)

kept = Global()

def main():
    rank, meeting, how = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.environ["LOCAL_RANK"] = "0"
    if how != "alone":
        dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=2)
        for _ in range(30):
            dist.all_reduce(torch.zeros(300_000), async_op=True)
    atexit.register(lambda: print("at exit", flush=True))
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    sys.stdout.write("no end of line")
    if how == "mistake":
        raise InputError("wrong")
    return 3 if how == "code" else None

run_command(main)
"""


def ended(meeting: Path, how: str, *, output: int = subprocess.PIPE) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each of the two processes."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(meeting), how],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=240) for process in processes]
    return [(process.returncode, out or "", err) for process, (out, err) in zip(processes, said, strict=True)]


@pytest.mark.parametrize(
    ("how", "code", "error"), [("well", 0, ""), ("code", 3, ""), ("mistake", 2, "error: wrong\n")]
)
def test_the_interpreter_is_not_taken_down_beside_a_process_group(
    tmp_path: Path, how: str, code: int, error: str
) -> None:
    assert ended(tmp_path / "meeting", how) == [(code, "no end of linethread\nat exit\n", error)] * 2


def test_one_process_ends_as_python_does(tmp_path: Path) -> None:
    assert (
        ended(tmp_path / "meeting", "alone") == [(0, "no end of linethread\nat exit\ntaken down\n", "")] * 2
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_output_that_could_not_be_written_is_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        assert {code for code, _, _ in ended(tmp_path / "meeting", "well", output=full.fileno())} == {2}
