"""The end of a run before its time: SLURM's requeue, folders that vanish, and other processes that were stopped."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import lightning
import pytest
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from lalm_ambig.core import stopping
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.stopping import Stopped
from lalm_ambig.files.failures import CannotWrite
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes import ending, launch

JOB = {
    "SLURM_JOB_ID": "12",
    "SLURM_NTASKS": "1",
    "SLURM_JOB_NAME": "train",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}


@pytest.fixture
def requeued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which a pretend scontrol writes what it was asked, in a job of SLURM's."""
    asked = tmp_path / "asked"
    scontrol = tmp_path / "bin/scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ending, "_REQUEUES", {})
    yield asked


def trainer(**environment: Any) -> Any:
    plugin = SLURMEnvironment(**environment)
    return lightning.Trainer(accelerator="cpu", devices=1, logger=False, plugins=[plugin])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by", [Signals.SIGUSR1, Signals.SIGUSR2])
def test_slurm_queues_a_job_anew_on_its_signal_and_the_run_has_not_ended_well(
    by: Signals, requeued: Path
) -> None:
    ending.handle_signals(trainer(requeue_signal=by))
    with (
        pytest.raises(Stopped, match=r"saved\. SLURM job 12 is queued anew") as stop,
        ending.explain_ending(),
    ):
        raise Stopped(by, "step 3 is finished and saved.")
    assert stop.value.exit_code == 128 + by
    assert requeued.read_text() == "requeue 12\n"


@pytest.mark.filterwarnings("ignore")
def test_a_job_of_an_array_is_named_with_its_number(requeued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    ending.handle_signals(trainer())
    with pytest.raises(Stopped), ending.explain_ending():
        raise Stopped(Signals.SIGUSR1)
    assert requeued.read_text() == "requeue 7_3\n"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("by", "auto"), [(Signals.SIGTERM, True), (Signals.SIGINT, True), (Signals.SIGUSR1, False)]
)
def test_no_other_signal_queues_it_and_none_where_that_is_off(
    by: Signals, auto: bool, requeued: Path
) -> None:
    ending.handle_signals(trainer(auto_requeue=auto))
    with (
        pytest.raises(Stopped, match=f"^stopped by {by.name}: the same command goes on"),
        ending.explain_ending(),
    ):
        raise Stopped(by)
    assert not requeued.exists()


@pytest.mark.filterwarnings("ignore")
def test_a_requeue_that_fails_is_told(requeued: Path) -> None:
    (requeued.parent / "bin/scontrol").write_text("#!/bin/sh\necho no such job >&2\nexit 3\n")
    ending.handle_signals(trainer())
    told = r"SLURM job 12 could not be queued anew: scontrol ended with 3 no such job"
    with pytest.raises(Stopped, match=told), ending.explain_ending():
        raise Stopped(Signals.SIGUSR1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("requeued")
def test_lightning_sets_no_handlers_of_its_own() -> None:
    found = ending.handle_signals(trainer())
    with stopping.listening():
        before = {by: stopping.signal.getsignal(by) for by in stopping.SIGNALS}
        found._signal_connector.register_signal_handlers()
        assert {by: stopping.signal.getsignal(by) for by in stopping.SIGNALS} == before


def test_a_folder_that_has_vanished_is_no_place_for_a_state(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "r")
    with pytest.raises(InputError, match=r"r: the run's folder is not there any more\. The same command"):
        ending.check_run_exists(run)
    run.path.mkdir()
    (run.path / "environment.json").write_text("{}")
    ending.check_run_exists(run)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"No space left on device\. Make room or allow"),
        (PermissionError(errno.EACCES, "Permission denied", "r/metrics.csv"), r"^r/metrics.csv: Permission"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "r/metrics.csv"),
            r"^r/metrics.csv: it is not there",
        ),
        (CannotWrite("r/adapter", "Read-only file system"), r"^r/adapter: cannot be written: Read-only file"),
    ],
)
def test_what_the_machine_refuses_a_run_says_how_to_go_on(error: Exception, told: str) -> None:
    with pytest.raises(InputError, match=told) as raised, ending.explain_ending():
        raise error
    assert str(raised.value).count("The same command goes on from the last checkpoint.") == 1


def test_what_may_be_a_defect_stays_one() -> None:
    with pytest.raises(OSError, match="closed"), ending.explain_ending():
        raise OSError("closed")


@pytest.mark.parametrize(("code", "left"), [(143, 143), (130, 130), (-9, 137), (-15, 143), (1, 1), (2, 1)])
def test_a_run_ends_as_the_process_that_failed_did_and_never_with_0(
    code: int, left: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    codes, other = list[int](), subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(launch.os, "_exit", codes.append)
    launch._stop([other], 1, code=code)
    assert codes == [left]
    assert other.wait() == -Signals.SIGKILL
    assert "process 1 of 2" in capfd.readouterr().err


def test_all_processes_end_by_the_signal_that_one_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending.distributed, "all_gather_object", lambda own: [own, Signals.SIGHUP])
    with pytest.raises(Stopped, match="SIGHUP"), stopping.listening(), stopping.deferred():
        assert stopping.requested_signal() is None
        assert ending.agreed_signal() is Signals.SIGHUP
    monkeypatch.setattr(ending.distributed, "all_gather_object", lambda own: [own, None])
    with stopping.listening():
        assert ending.agreed_signal() is None
