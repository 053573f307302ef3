"""YAML files read as plain values: no class in them is made, and none can be endless."""

from pathlib import Path
from typing import Any

import yaml

from lalm_ambig.errors import InputError

MOST_VALUES = 1_000_000
"""Values in one file, each counted as often as it is referred to: a few lines of references to references (`&`, `*`)
could otherwise stand for more than any memory holds, and one to itself has no end."""
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the library raises, beside its own errors, over tags with a wrong value, impossible dates and deep nesting."""


def read_yaml(path: Path) -> Any:
    """The content of a file. InputError in one line for text that is no YAML, too deep, or endless."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not a YAML file: {error}", where=str(path)) from error
    except BROKEN as error:
        what = f"not YAML that can be read: {type(error).__name__}: {str(error)[:200]}"
        raise InputError(what, where=str(path)) from error
    _check_size(content, path)
    return content


def _check_size(content: Any, path: Path) -> None:
    waiting, count = [content], 0
    while waiting:
        value = waiting.pop()
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += 1
        if count + len(waiting) + len(inner) > MOST_VALUES:
            raise InputError(f"it stands for more than {MOST_VALUES:,} values", where=str(path))
        waiting += inner
