"""Signals that ask a command to end: it says so in one line and leaves with 128 + the signal's number, never with 0.

A command ends where it is; training puts the end off until the step is finished and saved (`put_off`). A second signal
ends the process at once, and so do ten seconds in which a first one does nothing. Processes that this one forks leave
the decision to it.
"""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from signal import Signals
from types import FrameType
from typing import Any

SIGNALS = (Signals.SIGTERM, Signals.SIGHUP, Signals.SIGINT, Signals.SIGUSR1)
TOGETHER_S = 2.0
"""Signals within this time are one: `timeout`, launchers and schedulers send theirs to a process and to its group."""
PATIENCE_S = 10.0
"""How long a command that nothing keeps may take to end: then its main thread is stuck outside Python."""
OVER = b"\0"


class Stopped(BaseException):
    """A signal has asked this command to end. No `Exception`: nobody goes on after it as after a mistake."""

    def __init__(self, by: Signals, said: str = "") -> None:
        super().__init__(by, said)
        self.by, self.said = by, said

    @property
    def exit_code(self) -> int:
        return 128 + self.by

    def __str__(self) -> str:
        return f"stopped by {self.by.name}" + (f": {self.said}" if self.said else "")


@dataclass
class _State:
    """Of this process."""

    owner: int | None = None
    """Process that listens: a forked one inherits this record, and is another."""
    asked: Signals | None = None
    asked_at: float = 0.0
    put_off: bool = False
    terminals: list[int] = field(default_factory=list)
    """Of standard output and error, those that were a terminal's at the beginning."""
    earlier: dict[Signals, Any] = field(default_factory=dict)
    """Handlers to be restored."""


_STATE = _State()


def end_quietly() -> None:
    """Until this process listens, while libraries are imported: Ctrl-C ends it without a traceback of where it was."""
    if signal.getsignal(Signals.SIGINT) in (signal.default_int_handler, signal.SIG_IGN):
        signal.signal(Signals.SIGINT, signal.SIG_DFL)


@contextmanager
def listening() -> Iterator[None]:
    """Inside, signals that ask to end raise `Stopped`; afterwards everything is as it was. For the main thread only.

    What `nohup` has set to be ignored stays so. SIGINT does not: a shell ignores it for whatever a script runs in the
    background, and whoever sends it there by hand means it.
    """
    if threading.current_thread() is not threading.main_thread() or _STATE.owner == os.getpid():
        yield
        return
    _STATE.__dict__.update(vars(_State(owner=os.getpid(), terminals=[fd for fd in (1, 2) if os.isatty(fd)])))
    for one in SIGNALS:
        also(one)
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    before = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reads,), daemon=True, name="signals")
    watch.start()
    try:
        yield
    finally:
        for one, handler in _STATE.earlier.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        _STATE.owner = None
        os.write(writes, OVER)
        watch.join()
        os.close(reads)
        os.close(writes)


def also(one: Signals) -> None:
    """Listen to one more signal, where this process listens at all."""
    if _STATE.owner != os.getpid() or one in _STATE.earlier:
        return
    earlier = signal.getsignal(one)
    if one is Signals.SIGINT or earlier is not signal.SIG_IGN:
        _STATE.earlier[one] = earlier
        signal.signal(one, _take)


def asked() -> Signals | None:
    """The signal that has asked this process to end."""
    return _STATE.asked


def ask(by: Signals) -> None:
    """As if the signal had come, where none has: another process of the run was asked, and all end together."""
    if _STATE.asked is None:
        _STATE.asked, _STATE.asked_at = by, time.monotonic()


@contextmanager
def put_off() -> Iterator[None]:
    """Inside, a signal is only remembered (`asked`); `Stopped` is raised behind the block, if it ends well."""
    _STATE.put_off = True
    try:
        yield
    finally:
        _STATE.put_off = False
    if _STATE.asked is not None:
        raise Stopped(_STATE.asked)


def leave_to_parent(_: int = 0) -> None:
    """In a process that loads batches for another, called with its number: signals to the group are not for it."""
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)


def leave_at_once(by: Signals) -> None:
    """End this process without any more ado."""
    with suppress(OSError):
        os.write(2, f"stopped by {by.name}, at once.\n".encode())
    os._exit(128 + by)


def _take(number: int, _: FrameType | None) -> None:
    if os.getpid() != _STATE.owner:
        return
    if _STATE.asked is not None:
        if time.monotonic() - _STATE.asked_at > TOGETHER_S:
            leave_at_once(_STATE.asked)
        return
    ask(Signals(number))
    _let_go_of_lost_terminals()
    if not _STATE.put_off:
        raise Stopped(Signals(number))


def _watch(reads: int) -> None:
    """In a thread of its own: see to it that a process ends whose main thread takes no signals, for it is stuck in a
    library or waits for another process."""
    first: tuple[Signals, float] | None = None
    while True:
        wait = None if first is None or _STATE.put_off else max(0.0, first[1] + PATIENCE_S - time.monotonic())
        if not select.select([reads], [], [], wait)[0]:
            assert first is not None
            leave_at_once(first[0])
        byte = os.read(reads, 1)
        if byte in (b"", OVER):
            return
        if byte[0] not in _STATE.earlier:
            continue
        if first is None:
            first = Signals(byte[0]), time.monotonic()
        elif time.monotonic() - first[1] > TOGETHER_S:
            leave_at_once(first[0])


def _let_go_of_lost_terminals() -> None:
    """What is printed after the terminal is gone goes nowhere, in place of an error at each line."""
    for fd in _STATE.terminals:
        if not os.isatty(fd):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, fd)
            os.close(nowhere)


def _in_forked_process() -> None:
    if _STATE.owner is None:
        return
    _STATE.owner = None
    signal.set_wakeup_fd(-1)
    for one in _STATE.earlier:
        signal.signal(one, signal.SIG_DFL if one is Signals.SIGTERM else signal.SIG_IGN)


os.register_at_fork(after_in_child=_in_forked_process)
