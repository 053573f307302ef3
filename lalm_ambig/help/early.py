"""Help of `python -m lalm_ambig.NAME --help` before the module and its libraries are imported."""

import sys

from lalm_ambig.core.door import ELSEWHERE, PACKAGE, is_command, shown


def answer_help() -> None:
    """Print the help of the module that Python was asked to run, and end the process; do nothing else."""
    given = getattr(sys, "orig_argv", [])
    if "-m" not in given or not ({"-h", "--help"} & set(given)):
        return
    module = given[given.index("-m") + 1]
    names = {f"{PACKAGE.name}.{name}": name for name in (module.rpartition(".")[2],) if is_command(name)}
    names |= {package: name for name, package in ELSEWHERE.items()}
    if module not in names:
        return
    from lalm_ambig.help.commands import help_of  # not above: every command would read it

    text = help_of(names[module], given[given.index("-m") + 2 :])
    if text is not None:
        print(shown(text), end="")
        sys.exit(0)
