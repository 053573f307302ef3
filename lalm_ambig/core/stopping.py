"""Signals that ask a command to end. It prints one line and exits with 128 + the signal's number, never with 0.

A command ends where it is. Training defers the end until the step is finished and saved (`deferred`). A second signal
ends the process at once, and so does a first one that has had no effect for ten seconds. Forked processes leave the
decision to the process that forked them.
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
SAME_SIGNAL_S = 2.0
"""Signals within this time count as one: `timeout`, launchers and schedulers signal a process and also its group."""
PATIENCE_S = 10.0
"""Seconds that a command may take to end. After that its main thread is stuck outside Python."""
CLOSED = b"\0"


class Stopped(BaseException):
    """A signal has asked this command to end. It is no `Exception`, so that no handler of mistakes catches it."""

    def __init__(self, by: Signals, note: str = "") -> None:
        super().__init__(by, note)
        self.by, self.note = by, note

    @property
    def exit_code(self) -> int:
        return 128 + self.by

    def __str__(self) -> str:
        return f"stopped by {self.by.name}" + (f": {self.note}" if self.note else "")


@dataclass
class _State:
    """The signals of this process."""

    owner: int | None = None
    """Id of the process that listens. A forked process inherits this record and is not the owner."""
    requested_signal: Signals | None = None
    requested_at: float = 0.0
    deferred: bool = False
    terminals: list[int] = field(default_factory=list)
    """Those of standard output and error that belonged to a terminal at the start."""
    earlier: dict[Signals, Any] = field(default_factory=dict)
    """Earlier handlers, to be restored."""


_STATE = _State()


def end_quietly() -> None:
    """Let Ctrl-C end this process without a traceback while libraries are imported, until it listens."""
    if signal.getsignal(Signals.SIGINT) in (signal.default_int_handler, signal.SIG_IGN):
        signal.signal(Signals.SIGINT, signal.SIG_DFL)


@contextmanager
def listening() -> Iterator[None]:
    """Inside the block, signals that ask to end raise `Stopped`. It has an effect in the main thread only.

    The earlier handlers are restored at the end. Signals that `nohup` has set to be ignored stay ignored. SIGINT does
    not: a shell ignores it for all background jobs of a script, and a user who sends it to one means it.
    """
    if threading.current_thread() is not threading.main_thread() or _STATE.owner == os.getpid():
        yield
        return
    _STATE.__dict__.update(vars(_State(owner=os.getpid(), terminals=[fd for fd in (1, 2) if os.isatty(fd)])))
    for one in SIGNALS:
        listen_to(one)
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
        _STATE.owner, _STATE.requested_signal = (
            None,
            None,
        )  # what runs next in this process was not asked to end
        os.write(writes, CLOSED)
        watch.join()
        os.close(reads)
        os.close(writes)


def listen_to(one: Signals) -> None:
    """Listen to one more signal, if this process listens."""
    if _STATE.owner != os.getpid() or one in _STATE.earlier:
        return
    earlier = signal.getsignal(one)
    if one is Signals.SIGINT or earlier is not signal.SIG_IGN:
        _STATE.earlier[one] = earlier
        signal.signal(one, _take)


def requested_signal() -> Signals | None:
    """The signal that has asked this process to end; None where none has."""
    return _STATE.requested_signal


def request_stop(by: Signals) -> None:
    """Take a signal that another process of the run has received as received here, so that all end together."""
    if _STATE.requested_signal is None:
        _STATE.requested_signal, _STATE.requested_at = by, time.monotonic()


@contextmanager
def deferred() -> Iterator[None]:
    """Inside the block a signal is only recorded (`requested_signal`).

    Raises:
        Stopped: After the block, if a signal came and the block did not fail.
    """
    _STATE.deferred = True
    try:
        yield
    finally:
        _STATE.deferred = False
    if _STATE.requested_signal is not None:
        raise Stopped(_STATE.requested_signal)


def ignore_signals(_: int = 0) -> None:
    """Ignore signals to the process group, in a worker that loads batches for another process.

    The argument is the worker's number, as a data loader passes it.
    """
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)


def end_at_once(by: Signals) -> None:
    """End this process at once, without any cleanup."""
    with suppress(OSError):
        os.write(2, f"stopped by {by.name}, at once.\n".encode())
    os._exit(128 + by)


def _take(number: int, _: FrameType | None) -> None:
    if os.getpid() != _STATE.owner:
        return
    if _STATE.requested_signal is not None:
        if time.monotonic() - _STATE.requested_at > SAME_SIGNAL_S:
            end_at_once(_STATE.requested_signal)
        return
    request_stop(Signals(number))
    _let_go_of_lost_terminals()
    if not _STATE.deferred:
        raise Stopped(Signals(number))


def _watch(reads: int) -> None:
    """End the process where its main thread does not take a signal, because it is stuck in a library or waits.

    It runs in a thread of its own and reads the numbers of signals from a pipe.
    """
    first: tuple[Signals, float] | None = None
    while True:
        wait = (
            None if first is None or _STATE.deferred else max(0.0, first[1] + PATIENCE_S - time.monotonic())
        )
        if not select.select([reads], [], [], wait)[0]:
            assert first is not None
            end_at_once(first[0])
        byte = os.read(reads, 1)
        if byte in (b"", CLOSED):
            return
        if byte[0] not in _STATE.earlier:
            continue
        if first is None:
            first = Signals(byte[0]), time.monotonic()
        elif time.monotonic() - first[1] > SAME_SIGNAL_S:
            end_at_once(first[0])


def _let_go_of_lost_terminals() -> None:
    """Discard later output to a terminal that is gone, which would raise an error at each line."""
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
