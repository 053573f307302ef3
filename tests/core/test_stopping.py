"""Signals end a command with one line and 128 + their number; they are deferred where a step must be finished."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from signal import Signals

import pytest

from lalm_ambig.core import stopping
from lalm_ambig.core.errors import InputError, machine_error, run_command
from lalm_ambig.core.stopping import Stopped, deferred, listening, requested_signal


def send(by: Signals) -> None:
    os.kill(os.getpid(), by)
    time.sleep(0.01)  # a handler runs between two steps of Python


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Signals]]:
    """Signals that would have ended this process without any more ado."""
    ended: list[Signals] = []
    monkeypatch.setattr(stopping, "end_at_once", ended.append)
    return ended


@pytest.mark.parametrize("by", stopping.SIGNALS)
def test_a_command_ends_with_128_and_the_signal_in_one_line(
    by: Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(by)
    with pytest.raises(SystemExit) as left:
        run_command(lambda: send(by))
    assert left.value.code == 128 + by
    assert capsys.readouterr().err == f"stopped by {by.name}\n"
    assert signal.getsignal(by) is before


def test_an_exception_handler_does_not_swallow_it() -> None:
    def careless() -> None:
        try:
            send(Signals.SIGTERM)
        except Exception:
            return

    with pytest.raises(Stopped), listening():
        careless()


def test_what_is_begun_is_finished_where_the_end_is_put_off() -> None:
    done = False
    with pytest.raises(Stopped, match="SIGTERM"), listening(), deferred():
        send(Signals.SIGTERM)
        assert requested_signal() is Signals.SIGTERM
        done = True
    assert done


def test_a_mistake_where_the_end_is_put_off_is_still_told() -> None:
    with pytest.raises(InputError, match="full"), listening(), deferred():
        send(Signals.SIGTERM)
        raise InputError("full")


def test_signals_that_come_together_are_one(at_once: list[Signals]) -> None:
    with pytest.raises(Stopped, match="SIGTERM"), listening(), deferred():
        for by in (Signals.SIGTERM, Signals.SIGTERM, Signals.SIGHUP):
            send(by)
    assert at_once == []


def test_a_second_one_ends_at_once(at_once: list[Signals], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "SAME_SIGNAL_S", 0.05)
    with pytest.raises(Stopped), listening(), deferred():
        send(Signals.SIGHUP)
        time.sleep(0.1)
        send(Signals.SIGTERM)
        time.sleep(0.1)
    assert set(at_once) == {Signals.SIGHUP}, "by the first one's name"


def test_a_process_that_is_stuck_outside_python_ends_all_the_same(
    at_once: list[Signals], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "PATIENCE_S", 0.05)
    with listening():
        writes = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        os.write(writes, bytes([Signals.SIGTERM]))  # as the system does, whatever the main thread is at
        time.sleep(0.2)
    assert set(at_once) == {Signals.SIGTERM}


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(Signals.SIGHUP, signal.SIG_IGN)
    try:
        with listening():
            send(Signals.SIGHUP)
            assert requested_signal() is None
    finally:
        signal.signal(Signals.SIGHUP, before)


def test_ctrl_c_reaches_a_job_that_a_script_runs_in_the_background() -> None:
    before = signal.signal(Signals.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Stopped), listening():
            send(Signals.SIGINT)
    finally:
        signal.signal(Signals.SIGINT, before)


@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("by", [Signals.SIGINT, Signals.SIGHUP, Signals.SIGUSR1])
def test_a_forked_process_leaves_the_decision_to_its_parent(by: Signals) -> None:
    with listening():
        child = os.fork()
        if not child:
            try:
                send(by)
                os._exit(7)
            finally:
                os._exit(8)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        time.sleep(0.02)
        assert requested_signal() is None


@pytest.mark.filterwarnings("ignore:.*fork")
def test_what_a_forked_process_listens_to_is_no_news_to_its_parent(
    at_once: list[Signals], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "PATIENCE_S", 0.05)
    with listening():
        child = os.fork()
        if not child:
            signal.signal(Signals.SIGTERM, lambda *_: None)
            send(Signals.SIGTERM)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        time.sleep(0.2)
    assert at_once == []


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_loaders_process_outlives_a_signal_to_the_whole_group() -> None:
    child = os.fork()
    if not child:
        stopping.ignore_signals()
        for by in stopping.SIGNALS:
            send(by)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.ESTALE, errno.EIO]
)
def test_what_the_machine_refuses_is_one_line(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def refused() -> None:
        raise OSError(code, os.strerror(code), "runs/r/metrics.csv")

    with pytest.raises(SystemExit) as left:
        run_command(refused)
    assert left.value.code == 2
    assert capsys.readouterr().err == f"error: runs/r/metrics.csv: {os.strerror(code)}.\n"


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    assert machine_error(OSError("closed")) is None
    with pytest.raises(IsADirectoryError):
        run_command(lambda: raising(IsADirectoryError(errno.EISDIR, "a folder")))


def raising(error: Exception) -> None:
    raise error


def test_a_reader_that_is_gone_is_no_traceback() -> None:
    long = "[print('x' * 999) for _ in range(9999)]"
    code = f"from lalm_ambig.core.errors import run_command\nrun_command(lambda: {long})"
    line = f'{sys.executable} -c "{code}" | head -1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", line], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_what_runs_after_a_stopped_command_in_one_process_was_not_asked_to_end() -> None:
    with pytest.raises(Stopped), listening(), deferred():
        send(signal.SIGINT)
    assert requested_signal() is None
    with deferred():
        pass
