"""The YAML files of a run: the files that a command names, and the default files under them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.short_names import joined, option_groups
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.config_files import config_folder as config_folder
from lalm_ambig.files.config_files import names_of
from lalm_ambig.files.yaml import read_yaml

KINDS = {"policy": "policy", "data": "data", "model": "method"}
"""Keys that every run needs, each with the folder of the files that set it."""
CLASS_OPTIONS = {"policy": "--policy", "data": "--data.corpus", "model": "--model"}
"""The option that names each kind's class."""
PLACES = {"policy": ("policy",), "data": ("data", "corpus"), "model": ("model",)}
"""Where a file names each kind's class."""
DEFAULT = "preset/demo.yaml"
"""The embedded default, used by a command that chooses neither policy nor data nor method."""
FILE_FLAGS = ("-c", "--config")
"""Options that name a file."""
NAMING = ("--policy", "--data.corpus", "--model", "--model.engine")
"""Options that name a class whose settings are options as well."""
ALLOW_FLAG = "--allow-any-class"


def read_ahead(arguments: Sequence[str]) -> tuple[list[Path], bool]:
    """Read the options that must be known before the configuration is parsed.

    Args:
        arguments: The command line; all other options in it are left to the parser.

    Returns:
        The files of --config or -c, and whether the configuration may name any class.

    Raises:
        InputError: A file does not exist, or --config has no value.
    """
    parser = CommandParser(prog="configuration", add_help=False, allow_abbrev=False)
    parser.add_argument(*FILE_FLAGS, action="append", default=[])
    parser.add_argument(ALLOW_FLAG, action="store_true")
    options, _ = parser.parse_known_args(arguments)
    for value in options.config:
        _check_file(value)
    return [Path(value).expanduser() for value in options.config], options.allow_any_class


def in_order(words: Sequence[str]) -> list[str]:
    """Return the command line with its files first, then the options that name a class, then all others.

    The parser lets the later word win, and knows a class's settings only after the class. So an option wins over a
    file, and a setting may stand before its class.

    Args:
        words: The command line.

    Returns:
        The same words; within each of the three parts in their order.

    >>> in_order(["--policy.path", "x", "--seed", "3", "--config", "a.yaml", "--policy=CausalLM"])
    ['--config', 'a.yaml', '--policy=CausalLM', '--policy.path', 'x', '--seed', '3']
    """
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for option, values in option_groups(words):
        parts[_part(option, values)].extend(joined(option, values))
    return [word for part in parts for word in part]


def _part(option: str, values: Sequence[str]) -> int:
    if option in FILE_FLAGS or (option.startswith("-c") and option[:2] != "--"):
        return 0
    value = values[0].removeprefix("=").lstrip() if values else ""
    names_class = bool(value) and ("class_path" in value or not value.startswith("{"))
    return 1 if option.removesuffix(".class_path") in NAMING and names_class else 2


def _check_file(value: str) -> None:
    """Refuse a value that is not a regular file. `-` is refused as well; the parser would read standard input."""
    try:
        path = Path(value).expanduser()
        problem = (
            None
            if path.is_file() and value != "-"
            else "no file but a pipe"
            if path.is_fifo()
            else "no such file"
        )
        problem = "a folder and no file" if path.is_dir() else problem
    except (OSError, RuntimeError, ValueError):  # not a name that a file can have, or nobody's home
        problem = "no such file"
    if problem is not None:
        remedy = f"The project's own are in {config_folder()}."
        raise InputError(f"{problem}: {value}", where="--config", remedy=remedy)


def default_files(files: Sequence[Path], words: Sequence[str] = ()) -> list[str]:
    """Return `--config` options for the default files: `base.yaml`, and the demo if nothing is chosen.

    The demo's learning rate is no advice for a real model. So it is taken as a whole or not at all: whoever chooses a
    policy, data or a method chooses the other two as well.

    Args:
        files: Files that the command line names.
        words: The command line. An option that names a kind's class chooses that kind.

    Returns:
        One option per file, lowest first.

    Raises:
        InputError: Something is chosen, but not all of policy, data and method.
    """
    contents = [_yaml(path) for path in files]
    options = {o.removesuffix(".class_path") for o, values in option_groups(words) if _part(o, values) == 1}
    missing = [
        key
        for key, place in PLACES.items()
        if CLASS_OPTIONS[key] not in options and not any(_chooses(content, place) for content in contents)
    ]
    if len(missing) == len(PLACES) and not files:
        return [f"--config={config_folder() / name}" for name in ("base.yaml", DEFAULT)]
    if missing:
        kinds = [KINDS[key] for key in missing]
        listed = " and ".join(f"--{kind} NAME ({', '.join(names_of(kind))})" for kind in kinds)
        raise InputError(
            f"no {' and no '.join(kinds)} {'is' if len(kinds) == 1 else 'are'} chosen:",
            where="configuration",
            remedy=f"add {listed}; or give all in one: --preset NAME (demo, …).",
        )
    return [f"--config={config_folder() / 'base.yaml'}"]


def _chooses(content: Any, place: Sequence[str]) -> bool:
    """Return whether a file names a kind's class: by itself, in a mapping, or in a file that it names."""
    for name in place:
        if isinstance(content, str):
            return True  # a file of this part alone
        content = content.get(name) if isinstance(content, Mapping) else None
    return isinstance(content, str) or (isinstance(content, Mapping) and "class_path" in content)


def _yaml(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError("a configuration file holds keys and values", where=str(path))
    return content
