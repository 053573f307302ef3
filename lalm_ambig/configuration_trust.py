"""What a configuration file may name: a class path in it is code that will be imported and run."""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lalm_ambig.errors import InputError

TRUSTED = ("lalm_ambig.", "lightning.", "torch.")
"""Other packages' classes need --allow-any-class."""
ALLOW_FLAG = "--allow-any-class"
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
LARGEST_BYTES = 1_000_000
"""Larger files that a configuration names are data."""


def check_trusted(files: Sequence[Path], *, allow_any: bool) -> None:
    """InputError for code outside the trusted packages, in these files or in files that they name.

    The parser takes a class by its path alone and a part of the configuration by a file's name, so both are looked at
    wherever a text stands.
    """
    seen: set[Path] = set()
    waiting = [] if allow_any else list(files)
    while waiting:
        path = waiting.pop()
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        for key, text in _texts(_content(path)):
            if _is_foreign(key, text):
                raise InputError(
                    f"{key} {text} is not under {', '.join(TRUSTED)}: a file may not run other code.",
                    where=str(path),
                    remedy=f"If you trust it, add {ALLOW_FLAG}.",
                )
            waiting += [file for file in (Path(text), path.parent / text) if _is_small_file(file)]


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None  # then nothing else reads it as a configuration either


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str):
        yield key, value


def _is_foreign(key: str, text: str) -> bool:
    if text.startswith(TRUSTED) or not DOTTED.fullmatch(text):
        return False
    return key == "class_path" or _can_be_imported(text.split(".")[0])


def _can_be_imported(module: str) -> bool:
    """Whether there is such a module; a top-level one is found without running it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:
        return True


def _is_small_file(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= LARGEST_BYTES
    except OSError:
        return False
