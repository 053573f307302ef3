"""How a run ends before its time: all processes after the same saved step, and a SLURM job queued again."""

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from signal import Signals
from typing import Any

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from lalm_ambig.core import distributed, stopping
from lalm_ambig.core.errors import InputError, machine_error
from lalm_ambig.core.lightning_internals import cluster_environment, without_handlers
from lalm_ambig.core.stopping import Stopped
from lalm_ambig.files.atomic import CannotWrite, remove_unfinished
from lalm_ambig.runs.folder.run_folder import RunFolder

GOES_ON = "The same command goes on from the last checkpoint."
ROOM = f"Make room or allow writing. {GOES_ON}"
VANISHED = {errno.ENOENT, errno.ENOTDIR}
_REQUEUES: dict[Signals, SLURMEnvironment] = {}
"""SLURM's environment by the signal on which this process's job asks to be queued again."""


def handle_signals(trainer: Any) -> Any:
    """Return the trainer without Lightning's handlers of signals: `core.stopping` listens.

    Where Lightning would requeue a SLURM job on a signal, `ending_well` does.
    """
    trainer = without_handlers(trainer)
    environment = cluster_environment(trainer)
    if isinstance(environment, SLURMEnvironment) and environment.auto_requeue:
        by = Signals(environment.requeue_signal or signal.SIGUSR1)
        _REQUEUES[by] = environment
        stopping.listen_to(by)
    return trainer


def agreed_signal() -> Signals | None:
    """Return the signal that asked any process of the run to end, the same in all processes. All must call."""
    signals = [one for one in distributed.all_gather_object(stopping.requested_signal()) if one is not None]
    if not signals:
        return None
    stopping.request_stop(signals[0])
    return signals[0]


def check_run_exists(run: RunFolder) -> None:
    """Check that the run's folder is still there. A state written in its place could be on another file system.

    Raises:
        InputError: It has vanished.
    """
    if not (run.path / "environment.json").is_file():
        raise InputError("the run's folder is not there any more.", where=str(run.path), remedy=GOES_ON)


def remove_leftovers(run: RunFolder) -> None:
    """Delete unfinished files of a process of this run that was killed."""
    rows = (path for depth in ("*", "*/*") for path in (run.path / "evaluation").glob(depth) if path.is_dir())
    for folder in (run.path, run.checkpoints, *rows):
        remove_unfinished(folder)


@contextmanager
def explain_ending() -> Iterator[None]:
    """Inside, a signal or a failure of the machine ends the run with one line that says how to go on.

    Raises:
        Stopped: A signal asked the run to end; its line also tells of a requeued job.
        InputError: A disk is full, or a folder cannot be written to or has vanished.
    """
    try:
        yield
    except Stopped as stop:
        note = stop.note or GOES_ON[0].lower() + GOES_ON[1:]
        raise Stopped(stop.by, f"{note}{_requeued(stop.by)}") from None
    except CannotWrite as error:
        raise InputError(str(error), remedy="" if GOES_ON in str(error) else GOES_ON) from error
    except OSError as error:
        failure = machine_error(error, remedy=ROOM)
        if failure is None and error.errno in VANISHED and error.filename is not None:
            failure = InputError("it is not there any more.", where=str(error.filename), remedy=GOES_ON)
        if failure is None:
            raise
        raise failure from error


def _requeued(by: Signals) -> str:
    """Queue the job again if SLURM sends this signal before its time is over. Return a sentence on it, or nothing."""
    environment = _REQUEUES.get(by)
    if environment is None or environment.global_rank() != 0:
        return ""
    job = os.environ.get("SLURM_JOB_ID", "")
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        done = subprocess.run(["scontrol", "requeue", job], check=False, capture_output=True, text=True)
        failed = f"scontrol ended with {done.returncode} {done.stderr.strip()}" if done.returncode else ""
    except OSError as error:
        failed = f"scontrol: {error.strerror}"
    return (
        f" SLURM job {job} could not be queued anew: {failed}"
        if failed
        else f" SLURM job {job} is queued anew."
    )
