"""The one exception for a user's mistake, and the exit codes of every command."""

import errno
import os
import select
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from lalm_ambig.core.library_errors import misuse
from lalm_ambig.core.stopping import Stopped, listening

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
"""128 + SIGPIPE: whoever read the output is gone."""
OTHERS_WAIT_S = 3.0
"""How long a process that is not the first waits before it speaks of a mistake."""
OF_THE_MACHINE = {
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
"""Errors of the system that are no defect of a program."""


STOPS = ".:;,!?…"
"""Ends of a sentence, behind which a remedy may begin another."""


class InputError(ValueError):
    """A user's mistake: one line saying what is wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        stop = "." if remedy[:1].isupper() and what.rstrip()[-1:] not in STOPS else ""
        parts = [(what if not where else f"{where}: {what}") + stop, remedy]
        super().__init__(" ".join(" ".join(part.split()) for part in parts if part))


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command's main function and leave the process with its exit code.

    A mistake of the user's, a full disk and its like print one line on standard error and exit with 2. A signal that
    asks to end does so with 128 + its number (Ctrl-C: 130). Any other exception is a defect of ours and keeps its
    traceback.
    """
    with listening():
        try:
            code = _code(command)
        except BrokenPipeError:
            if not _nobody_reads():
                raise
            code = EXIT_PIPE
    sys.exit(code)


def _nobody_reads() -> bool:
    """Whether standard output is a pipe without a reader; what is left to be written to it then goes nowhere."""
    output = select.poll()
    output.register(1, 0)
    lost = any(state & select.POLLERR for _, state in output.poll(0))
    if lost:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return lost


def of_the_machine(error: OSError, *, remedy: str = "") -> InputError | None:
    """The mistake in one line, where the machine cannot do what it should; None for what may be a defect of ours."""
    if error.errno not in OF_THE_MACHINE:
        return None
    where = "a file could not be written or read" if error.filename is None else str(error.filename)
    return InputError(f"{error.strerror or os.strerror(error.errno)}.", where=where, remedy=remedy)


def _code(command: Callable[[], int | None]) -> int:
    try:
        return command() or EXIT_OK
    except InputError as error:
        _say(error)
    except Stopped as stop:
        if not int(os.environ.get("LOCAL_RANK", "0")):
            print(stop, file=sys.stderr)
        return stop.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        found = of_the_machine(error)
        if found is None:
            raise
        _say(found)
    except Exception as error:
        said = misuse(error)
        if said is None:
            raise
        _say(InputError(said, where="Lightning"))
    return EXIT_USER_ERROR


def _say(error: InputError) -> None:
    """One line; of several processes that have met the same mistake, the first one's, whose end stops the others."""
    own = int(os.environ.get("LOCAL_RANK", "0"))
    if own:
        time.sleep(OTHERS_WAIT_S)
    print(f"error: process {own}: {error}" if own else f"error: {error}", file=sys.stderr)
