"""The YAML files of a run: the files that a command names, and the default files under them."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import lalm_ambig
from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.yaml import read_yaml

KINDS = {"policy": "policy", "data": "data", "model": "method"}
"""Keys that every run needs, each with the folder of the files that set it."""
CLASS_OPTIONS = {"policy": "--policy", "data": "--data.corpus", "model": "--model"}
"""The option that names each kind's class."""
DEFAULT = "preset/demo.yaml"
"""The embedded default, used by a command without any file."""
FILE_FLAGS = ("-c", "--config")
"""Options that name a file."""
ALLOW_FLAG = "--allow-any-class"


def config_folder() -> Path:
    """Return the folder of the project's configuration files.

    Returns:
        The folder inside the installed package, or beside the package in a checkout.
    """
    package = Path(lalm_ambig.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


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


def files_first(words: Sequence[str]) -> list[str]:
    """Return the command line with its files before everything else, both in their order.

    The parser lets the later word win; so an option wins over a file wherever it stands.

    >>> files_first(["--seed", "3", "--config", "a.yaml", "-c=b.yaml"])
    ['--config', 'a.yaml', '-c=b.yaml', '--seed', '3']
    """
    files: list[str] = []
    options: list[str] = []
    left = iter(words)
    for word in left:
        if word in FILE_FLAGS:
            files += [word, *islice(left, 1)]
        else:
            (files if word.startswith(("-c", "--config=")) else options).append(word)
    return [*files, *options]


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
    """Return `--config` options for the default files: `base.yaml`, and the embedded default if no file is given.

    Args:
        files: Files that the command line names.
        words: The command line. An option that names the class of a kind replaces the file of that kind.

    Returns:
        One option per file, lowest first.

    Raises:
        InputError: Neither a file nor an option sets a kind.
    """
    contents = [_yaml(path) for path in files]
    options = {word.partition("=")[0] for word in words}
    unset = (key for key in KINDS if not any(key in content for content in contents))
    missing = [key for key in unset if CLASS_OPTIONS[key] not in options]
    if files and missing:
        folder = KINDS[missing[0]]
        choices = ", ".join(sorted(p.stem for p in (config_folder() / folder).glob("*.yaml")))
        raise InputError(
            f"no file configures {missing[0]!r}:",
            where="--config",
            remedy=f"add --config configs/{folder}/NAME.yaml (NAME: {choices}).",
        )
    names = ["base.yaml"] if files else ["base.yaml", DEFAULT]
    return [f"--config={config_folder() / name}" for name in names]


def _yaml(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError("a configuration file holds keys and values", where=str(path))
    return content
