"""The one exception for a user's mistake, and the exit codes of every command."""

import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
OTHERS_WAIT_S = 3.0
"""How long a process that is not the first waits before it speaks of a mistake."""


class InputError(ValueError):
    """A user's mistake: one line saying what is wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        parts = [what if not where else f"{where}: {what}", remedy]
        super().__init__(" ".join(" ".join(part.split()) for part in parts if part))


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command's main function and leave the process with its exit code.

    A mistake of the user's prints one line on standard error and exits with 2; Ctrl-C exits with 130. Any other
    exception is a defect of ours and keeps its traceback.
    """
    try:
        code = command()
    except InputError as error:
        _say(error)
        code = EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    sys.exit(code or EXIT_OK)


def _say(error: InputError) -> None:
    """One line; of several processes that have met the same mistake, the first one's, whose end stops the others."""
    own = int(os.environ.get("LOCAL_RANK", "0"))
    if own:
        time.sleep(OTHERS_WAIT_S)
    print(f"error: process {own}: {error}" if own else f"error: {error}", file=sys.stderr)
