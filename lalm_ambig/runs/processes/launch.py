"""How a command begins: libraries turned quiet, and the other processes of a run started and watched."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from lightning.pytorch.strategies import DDPStrategy

from lalm_ambig.config.cli import Cli
from lalm_ambig.core import distributed, stopping
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.lightning_internals import start_other_processes
from lalm_ambig.runs.processes.ending import GOES_ON, handle_signals
from lalm_ambig.runs.processes.quiet import quiet_expected
from lalm_ambig.runs.processes.strategies import CheckOnDevice

PATIENCE = timedelta(hours=2)
"""Time that a process waits for the others, one of which may read a corpus for the first time."""
POLL_S = 1.0
LOST = re.compile(r"gloo|NCCL|connection (was )?(reset|closed|refused)|broken pipe|socket", re.IGNORECASE)
"""Words in the messages of torch's backends when another process cannot be reached."""
FIRST = "LALM_AMBIG_FIRST_PROCESS"
"""Environment variable: id of the process that started the others, unless SLURM or torchrun did."""
_STARTED: list["subprocess.Popen[bytes]"] = []
"""The other processes, in the one that started them."""
BY_SIGNAL = {128 + one: one for one in stopping.SIGNALS}
"""Exit code → signal, for processes that ended when asked to."""

ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
"""Environment variables with the settings of torch's allocator: the name that every version knows, and a newer one."""


def quiet_libraries() -> None:
    """Turn off progress bars and notes of the libraries; warnings that matter stay. A command calls it first.

    CUDA's allocator, which reads its settings at its first use, then joins segments: batches differ in length, and
    would leave gaps.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if sys.platform == "linux" and not any(name in os.environ for name in ALLOCATOR):
        os.environ[ALLOCATOR[0]] = "expandable_segments:True"
    # `datasets` reads it if it is imported later.
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    quiet_expected()


def prediction_settings() -> dict[str, Any]:
    """Return new settings of a trainer that only predicts. The trainer adds to its list of callbacks."""
    return {
        "logger": False,
        "enable_checkpointing": False,
        "use_distributed_sampler": False,
        "callbacks": [CheckOnDevice()],
    }


def single_device_trainer(cli: Cli, *, shows_progress: bool = True) -> Any:
    """Return a trainer that predicts on one device, whatever the configuration trains on.

    Args:
        cli: The configuration.
        shows_progress: Whether a bar is shown, if the configuration has one.
    """
    settings = {**prediction_settings(), **({} if shows_progress else {"enable_progress_bar": False})}
    return handle_signals(cli.make_trainer(strategy="auto", devices=1, num_nodes=1, **settings))


def launch(cli: Cli) -> Any:
    """Start the processes that the trainer's settings ask for, and return a trainer that predicts.

    For prediction every process has all weights, whatever the strategy of training is. The items are divided.

    Args:
        cli: The run's configuration.
    """
    trainer = handle_signals(cli.make_trainer(strategy="auto", **prediction_settings()))
    if trainer.world_size == 1:
        return trainer
    trainer = handle_signals(
        cli.make_trainer(strategy=DDPStrategy(timeout=PATIENCE), **prediction_settings())
    )
    strategy = trainer.strategy
    _watch_parent()
    if not strategy.cluster_environment.creates_processes_externally:
        os.environ[FIRST] = str(os.getpid())
        _STARTED.extend(start_other_processes(strategy.launcher))
        _watch_children(_STARTED)
    if not distributed.started():
        strategy.setup_environment()
    return trainer


@contextmanager
def process_guard() -> Iterator[None]:
    """Inside, a lost connection to another process is an InputError. If the block fails, the other processes end.

    Raises:
        InputError: Another process is gone.
        Stopped: A signal has asked this process to end.
    """
    try:
        yield
    except RuntimeError as error:
        if not (distributed.world_size() > 1 and LOST.search(str(error))):
            _kill_started()
            raise
        by = stopping.requested_signal()
        if by is not None:
            raise stopping.Stopped(by) from error
        time.sleep(3 * POLL_S)  # the watch of the first process knows which one is gone
        raise InputError("another process of this run is gone.", remedy=GOES_ON) from error
    except BaseException:
        _kill_started()
        raise


def _kill_started() -> None:
    """End the other processes without a word of their own, or of their watch."""
    processes = list(_STARTED)
    _STARTED.clear()
    for process in processes:
        process.kill()


def _watch_parent() -> None:
    """In a process that the first one started, end this process when the first one is gone."""
    parent, rank = os.getppid(), os.environ.get("LOCAL_RANK", "0")
    if os.environ.get(FIRST) != str(parent):
        return

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_S)
        print(
            f"error: process {rank} stops: the first process is gone. {GOES_ON}", file=sys.stderr, flush=True
        )
        os._exit(1)

    threading.Thread(target=look, daemon=True, name=f"parent of process {rank}").start()


def _watch_children(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """In the first process, end all processes when one of the others fails."""
    if not processes:
        return

    def look() -> None:
        while True:
            time.sleep(POLL_S)
            codes = [process.poll() for process in processes]
            failed = [n for n, code in enumerate(codes, start=1) if code]
            if failed:
                _stop(processes, failed[0], code=int(codes[failed[0] - 1] or 0))
            if all(code == 0 for code in codes):
                return

    threading.Thread(target=look, daemon=True, name="other processes").start()


def _stop(processes: Sequence["subprocess.Popen[bytes]"], failed: int, *, code: int) -> None:
    by = stopping.requested_signal()
    if by is not None:  # this process will end by itself
        time.sleep(stopping.PATIENCE_S)
        stopping.end_at_once(by)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    if code in BY_SIGNAL:
        how = f"was stopped by {BY_SIGNAL[code].name}"
    print(
        f"error: process {failed} of {len(processes) + 1} {how}; all stop. {GOES_ON}",
        file=sys.stderr,
        flush=True,
    )
    for process in processes:
        process.send_signal(signal.SIGKILL)
    os._exit(code if code in BY_SIGNAL else 128 - code if code < 0 else 1)
