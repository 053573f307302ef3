"""Runs of `fit` in processes of their own, forked from one that has imported everything: an import costs ten seconds.

Reads one JSON object a line from standard input: `words` (fit's arguments), `world` (number of processes), `log` (file
of their output), `kill` (null, or a place of `PLACES` and the how-manieth time it is reached), `signal` (by which, if
not SIGKILL; or `full`: no file can grow from then on; or `gone`: the folder `run` gets another name) and `ranks` (of
which processes, if not all). Writes the exit codes.
"""

import atexit
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("DS_ACCELERATOR", "cpu")

from lalm_ambig import fit
from lalm_ambig.core.errors import run_command
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.sft import SFT
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts import generate
from lalm_ambig.runs import callbacks, logs
from lalm_ambig.runs.checkpoints import files as checkpoint_files

PLACES: dict[str, tuple[Any, str]] = {
    "step": (Method, "training_step"),
    "validation": (Method, "validation_step"),
    "rollout": (generate._Loop, "append"),
    "writing": (checkpoint_files, "_is_whole_file"),
    "logging": (logs, "TensorBoardLogger"),
    "corpus": (DataModule, "setup"),
    "weights": (Policy, "load"),
    "prediction": (Method, "predict_step"),
    "saving": (checkpoint_files.torch, "save"),
    "best": (checkpoint_files, "save_file"),
    "samples": (callbacks, "append_rows"),
    "adapter": (Policy, "save"),
    "table": (fit, "conclude"),
}


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        port = free_port()
        children = [start(order, rank, port) for rank in range(order["world"])]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(codes), flush=True)


def start(order: dict[str, Any], rank: int, port: int) -> int:
    child = os.fork()
    if child:
        return child
    atexit._clear()  # the functions of the process that goes on
    with Path(order["log"] if rank == 0 else f"{order['log']}.{rank}").open("ab") as log:
        output: Any = log
        if order.get("signal") == "full":  # what is said must still get through
            output = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log, stderr=log).stdin
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    if order["world"] > 1:
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": 0, "LOCAL_RANK": rank}
        os.environ.update(
            {name: str(value) for name, value in meeting.items()} | {"WORLD_SIZE": str(order["world"])}
        )
    os.environ.update(order.get("environment", {}))
    spoil(order)
    if "kill_after_s" in order:
        threading.Timer(order["kill_after_s"], os.kill, (os.getpid(), signal.SIGKILL)).start()
    if order["kill"] is not None and rank in order.get("ranks", [rank]):
        place, time = order["kill"]
        act_at(*PLACES[place], time=time, act=deed(order))
    sys.argv = ["fit", *order["words"]]
    code: Any = 1
    try:
        run_command(fit.main)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def spoil(order: dict[str, Any]) -> None:
    """What goes wrong in the third step: `nan`, or `delete`d files; or no file over `largest` bytes can be made."""
    if "largest" in order:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest"], order["largest"]))
    step, calls = Method.training_step, 0
    reduce = SFT.reduce

    def reduced(self: SFT, experience: Any) -> Any:
        loss = reduce(self, experience)
        return replace(loss, total=loss.total * float("nan")) if order.get("nan") and calls == 3 else loss

    def stepped(self: Method, batch: Any, batch_idx: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3 and "delete" in order:
            for file in Path(order["delete"]).iterdir():
                file.unlink()
        return step(self, batch, batch_idx)

    Method.training_step, SFT.reduce = stepped, reduced  # type: ignore[method-assign]


def deed(order: dict[str, Any]) -> Callable[[], None]:
    """What happens to this process or around it."""
    kind = order.get("signal", "SIGKILL")
    if kind == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    if kind == "gone":
        return lambda: Path(order["run"]).rename(f"{order['run']}.elsewhere")
    return lambda: os.kill(os.getpid(), signal.Signals[kind])


def act_at(owner: Any, name: str, *, time: int, act: Callable[[], None]) -> None:
    """Do something when this process comes to a function for that time, before the function itself."""
    function: Callable[..., Any] = getattr(owner, name)
    reached = 0

    def counting(*args: Any, **named: Any) -> Any:
        nonlocal reached
        reached += 1
        if reached == time:
            act()
        return function(*args, **named)

    setattr(owner, name, counting)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
