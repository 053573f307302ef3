"""The one exception for a user's mistake, and the exit codes of every command."""

import sys
from collections.abc import Callable
from typing import NoReturn

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


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
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    sys.exit(code or EXIT_OK)
