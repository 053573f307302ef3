"""The way in which the user started a command, and texts that name commands in the same way.

There are three: the console script (`lalm-ambig fit`), the package (`python -m lalm_ambig fit`) and a module by itself
(`python -m lalm_ambig.fit`). Messages and help name commands as the user does. `data_curation` is the command `curate`.
"""

import re
import sys
from pathlib import Path

SCRIPT = "lalm-ambig"
PACKAGE = Path(__file__).resolve().parents[1]
ELSEWHERE = {"curate": "data_curation"}
"""Commands that are packages of their own."""
NAMED = re.compile(
    r"\bpython -m (?:lalm_ambig\.(?P<module>[a-z]+)|(?P<package>data_curation))\b|\blalm-ambig (?P<script>[a-z]+)\b"
)
"""A command in a text, in any of the ways."""


def door() -> str | None:
    """Return the words before a command's name, `lalm-ambig ` or `python -m lalm_ambig `.

    Returns:
        The words; `python -m lalm_ambig.` for a module by itself; None outside of a command, as in a notebook.
    """
    program = Path(sys.argv[0] if sys.argv else "")
    if str(program) == "-m":  # while the package of a module is imported
        asked = sys.orig_argv[sys.orig_argv.index("-m") + 1]
        return (
            "python -m lalm_ambig "
            if asked.removesuffix(".__main__") == PACKAGE.name
            else "python -m lalm_ambig."
        )
    if program.stem == SCRIPT:
        return f"{SCRIPT} "
    if program.name == "__main__.py" and program.parent.name == PACKAGE.name:
        return "python -m lalm_ambig "
    return "python -m lalm_ambig." if program.parent.name in (PACKAGE.name, *ELSEWHERE.values()) else None


def is_command(name: str) -> bool:
    """Return whether a name is a command: a module at the top of the package with a `main`, or a package of its own.

    Args:
        name: The name.

    Returns:
        Whether it is one. Nothing is imported.
    """
    if name in ELSEWHERE:
        return (PACKAGE.parent / ELSEWHERE[name] / "__main__.py").is_file()
    file = PACKAGE / f"{name}.py"
    named = name.isidentifier() and name[:1] != "_"
    return named and file.is_file() and "\ndef main(" in file.read_text(encoding="utf-8")


def command_names() -> list[str]:
    """Return the names of all commands, sorted.

    Returns:
        The names. Nothing is imported.
    """
    names = [*(file.stem for file in PACKAGE.glob("*.py")), *ELSEWHERE]
    return sorted(name for name in names if is_command(name))


def shown(text: str) -> str:
    """Return a text with its commands named as the user names them.

    Args:
        text: A message or help.

    Returns:
        The text; unchanged outside of a command.
    """
    came_by = door()
    return text if came_by is None else NAMED.sub(lambda match: _shown(match, came_by), text)


def _shown(match: re.Match[str], came_by: str) -> str:
    module, package, script = match["module"], match["package"], match["script"]
    names = {value: key for key, value in ELSEWHERE.items()}
    name = names.get(package or "") or module or script
    if not is_command(name):
        return match[0]
    if came_by.endswith(" "):
        return f"{came_by}{name}"
    return f"python -m {ELSEWHERE[name]}" if name in ELSEWHERE else f"{came_by}{name}"
