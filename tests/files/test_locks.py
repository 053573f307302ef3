"""A lock: one holder at a time, none after a process has been killed, and no file once the block is left."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.failures import CannotWrite
from lalm_ambig.files.locks import locked

BUSY = InputError("another one is at it.", where="--out")
HOLD = """
import sys, time
from pathlib import Path
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.failures import CannotWrite
from lalm_ambig.files.locks import locked
with locked(Path(sys.argv[1]), busy=InputError("busy")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "new/x.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="--out: another one is at it"), locked(path, busy=BUSY):
        pass
    assert path.is_file(), "whoever is refused leaves the file to its holder"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert path.is_file()
    with locked(path, busy=BUSY):
        assert path.is_file()
    assert not path.exists()


@pytest.mark.parametrize("used", [False, True])
def test_folders_that_were_made_for_it_go_with_it_unless_they_are_used(tmp_path: Path, used: bool) -> None:
    with locked(tmp_path / "a/b/x.lock", busy=BUSY):
        if used:
            (tmp_path / "a/b/run").mkdir()
    assert sorted(path.name for path in tmp_path.rglob("*")) == (["a", "b", "run"] if used else [])


def test_the_lock_goes_with_the_block_even_after_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(ValueError, match="mine"), locked(path, busy=BUSY):
        raise ValueError("mine")
    assert not path.exists()
    with locked(path, busy=BUSY):
        pass


def test_a_file_that_was_removed_meanwhile_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with locked(path, busy=BUSY):
        path.unlink()
        with locked(path, busy=BUSY):  # the name is free again
            assert path.is_file()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", fails)
    path = tmp_path / "x.lock"
    with locked(path, busy=BUSY), locked(path, busy=BUSY):
        assert path.is_file()
    assert not path.exists()


def test_any_other_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fcntl.flock", fails)
    with pytest.raises(CannotWrite, match="Input/output error"), locked(tmp_path / "x.lock", busy=BUSY):
        pass
