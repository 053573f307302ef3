"""A lock: one holder at a time, none after a process has been killed, and no file once the block is left."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.locks import locked

BUSY = InputError("another one is at it.", where="--out")
HOLD = """
import sys, time
from pathlib import Path
from lalm_ambig.core.errors import InputError
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
