"""The one exception for a user's mistake, and the exit codes of every command."""

import atexit
import errno
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from lalm_ambig.core.collection import release
from lalm_ambig.core.door import shown
from lalm_ambig.core.library_errors import misuse
from lalm_ambig.core.stopping import Stopped, listening

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
"""128 + SIGPIPE: the reader of the output is gone."""
OTHERS_WAIT_S = 3.0
"""Seconds that a process other than the first waits before it prints a mistake."""
MACHINE_ERRORS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),  # full
    *(errno.EROFS, errno.EACCES, errno.EPERM),  # not allowed
    *(
        errno.EIO,
        errno.ESTALE,
        errno.ENODEV,
        errno.ENXIO,
        errno.ENOTCONN,
        errno.EHOSTDOWN,
        errno.EREMOTEIO,
    ),  # gone
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}
"""System errors that are not a defect of the program."""


STOPS = ".:;,!?…"
"""Ends of a sentence, after which a remedy may begin another."""


class InputError(ValueError):
    """A user's mistake, in one line: where it is, what is wrong, and what to do about it.

    >>> str(InputError("must be in (0, 1), got 1.5", where="GRPO: clip", remedy="Use 0.2, as the presets do."))
    'GRPO: clip: must be in (0, 1), got 1.5. Use 0.2, as the presets do.'
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        stop = "." if remedy[:1].isupper() and what.rstrip()[-1:] not in STOPS else ""
        parts = [(what if not where else f"{where}: {what}") + stop, remedy]
        super().__init__(" ".join(" ".join(part.split()) for part in parts if part))

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback."""
        return [f"InputError: {self}"]


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command's main function and end the process with its exit code.

    A user's mistake, a full disk and the like print one line on standard error and give 2. A signal that asks the
    command to end gives 128 + its number (Ctrl-C: 130). Any other exception is a defect of ours: its traceback is kept.
    """
    release()
    with listening():
        try:
            code = _code(command)
        except BrokenPipeError:
            if not _nobody_reads():
                raise
            code = EXIT_PIPE
    if _one_of_several():
        _leave(code)
    sys.exit(code)


def _one_of_several() -> bool:
    """Whether this process belongs to a group of torch's. It asks only if torch has been imported."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _leave(code: int) -> NoReturn:
    """End the process after its `atexit` functions, as multiprocessing ends its own: without taking Python down.

    The threads of a process group may still hold tensors, and abort the process if they let go of them meanwhile.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or EXIT_USER_ERROR
    os._exit(code)


def _nobody_reads() -> bool:
    """Whether standard output is a pipe without a reader. If so, later output is discarded."""
    output = select.poll()
    output.register(1, 0)
    lost = any(state & select.POLLERR for _, state in output.poll(0))
    if lost:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return lost


def machine_error(error: OSError, *, remedy: str = "") -> InputError | None:
    """The mistake in one line, where the machine failed (`MACHINE_ERRORS`); None where it may be a defect of ours."""
    if error.errno not in MACHINE_ERRORS:
        return None
    where = "a file could not be written or read" if error.filename is None else str(error.filename)
    return InputError(f"{error.strerror or os.strerror(error.errno)}.", where=where, remedy=remedy)


def _code(command: Callable[[], int | None]) -> int:
    try:
        return command() or EXIT_OK
    except InputError as error:
        _print(error)
    except Stopped as stop:
        if not int(os.environ.get("LOCAL_RANK", "0")):
            print(stop, file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        mistake = machine_error(error)
        if mistake is None:
            raise
        _print(mistake)
    except Exception as error:
        message = misuse(error)
        if message is None:
            raise
        _print(InputError(message, where="Lightning"))
    return EXIT_USER_ERROR


def _print(error: InputError) -> None:
    """Print one line. Of several processes with the same mistake the first prints, and its end stops the others."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if local_rank:
        time.sleep(OTHERS_WAIT_S)
    line = shown(str(error))
    print(f"error: process {local_rank}: {line}" if local_rank else f"error: {line}", file=sys.stderr)
