"""The front door: `lalm-ambig COMMAND …`, or `python -m lalm_ambig COMMAND …`.

A module at the top of the package with a `main` is a command, and is imported only when it runs. `curate` is the
package `data_curation`, found by its name. Help comes from texts that `make help` writes (`lalm_ambig.help`).
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lalm_ambig import __version__
from lalm_ambig.core.collection import hold, release
from lalm_ambig.core.door import ELSEWHERE, command_names, is_command, shown
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.help.commands import closest_command, help_of, overview

HELP = ("-h", "--help")


def main() -> NoReturn:
    """Run the command that the process's words name, and end with its exit code."""
    run_command(lambda: dispatch(sys.argv[1:]))


def dispatch(words: Sequence[str]) -> int | None:
    """Run a command, or print help.

    Args:
        words: The command's name and its own words.

    Returns:
        The command's exit code.

    Raises:
        InputError: There is no such command, or none is named.
    """
    first, *rest = words or ["--help"]
    if first == "--version":
        print(f"lalm_ambig {__version__}")
        return 0
    if first == "help" and rest:
        first, *rest = [*rest, "--help"]
    if first in (*HELP, "help"):
        print(shown(overview()), end="")
        return 0
    if not is_command(first):
        raise InputError(_unknown(first), remedy=f"Commands: {', '.join(command_names())}.")
    if (text := help_of(first, rest)) is not None:
        print(shown(text), end="")
        return 0
    return _run(first, rest)


def _run(name: str, words: Sequence[str]) -> int | None:
    """Import a command and run it."""
    module = f"{ELSEWHERE[name]}.__main__" if name in ELSEWHERE else f"{__package__}.{name}"
    if module not in sys.modules:
        hold()
    command: Any = importlib.import_module(module).main
    release()
    code: int | None = command(list(words))
    return code


def _unknown(name: str) -> str:
    if name.startswith("-"):
        return f"{name} stands before any command: write the command first, as in {shown('lalm-ambig fit')} {name} …"
    meant = closest_command(name)
    return f"unknown command {name!r}" + (f": did you mean {meant}?" if meant else ".")


if __name__ == "__main__":
    main()
