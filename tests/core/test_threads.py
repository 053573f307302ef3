"""Threads that wait sleep soon, unless the user has chosen; a full machine is told of in a line."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from lalm_ambig.core import threads
from lalm_ambig.core.threads import busy_cores, crowding_note


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [({}, "1000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"), ({"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_threads_spin_briefly_unless_the_user_has_chosen(chosen: Mapping[str, str], expected: str) -> None:
    program = "import lalm_ambig, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    environment = {k: v for k, v in os.environ.items() if k not in threads.CHOSEN} | dict(chosen)
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert found.stdout.strip() == expected


def test_a_process_that_has_loaded_torch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in threads.CHOSEN:
        monkeypatch.delenv(name, raising=False)
    threads.wait_briefly()
    assert threads.SPIN not in os.environ  # this process has torch
    monkeypatch.delitem(sys.modules, "torch")
    threads.wait_briefly()
    assert os.environ[threads.SPIN] == threads.SPINS


@pytest.mark.parametrize(
    ("busy", "cores", "asked", "advised"),
    [
        (0.0, 2, 2, None),
        (0.3, 2, 2, None),
        (1.0, 2, 2, "OMP_NUM_THREADS=1"),
        (2.0, 2, 1, ""),
        (1.9, 2, 2, "OMP_NUM_THREADS=1"),
        (3.0, 16, 8, None),
        (12.0, 16, 16, "OMP_NUM_THREADS=4"),
        (1.0, 4, 4, None),
    ],
)
def test_a_full_machine_is_told_of(
    monkeypatch: pytest.MonkeyPatch, busy: float, cores: int, asked: int, advised: str | None
) -> None:
    monkeypatch.setattr(threads, "busy_cores", lambda: (busy, cores))
    note = crowding_note(asked)
    assert (note is None) == (advised is None)
    if note is not None:
        assert f"{busy:.1f} of {cores} cores" in note and str(advised) in note
        assert ("OMP_NUM_THREADS" in note) == bool(advised)


def test_busy_cores_are_between_none_and_all_and_absent_where_the_system_does_not_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = busy_cores(0.1)
    if sys.platform == "linux":
        assert found is not None
        busy, cores = found
        assert 0 <= busy <= cores
    monkeypatch.setattr(threads, "Path", lambda _: (_ for _ in ()).throw(FileNotFoundError()))
    assert busy_cores(0.0) is None
    assert crowding_note(2) is None
