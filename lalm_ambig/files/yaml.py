"""YAML files read as plain values: no class in them is made, none is endless, and no key comes twice."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import short_repr
from lalm_ambig.files.text import read_text

MOST_VALUES = 1_000_000
"""Most values in one file, each counted once per reference.

A few lines of references to references (`&`, `*`) could otherwise expand beyond any memory, and a reference to itself
has no end."""
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Other errors of the library: for tags with a wrong value, impossible dates and deep nesting."""
MERGE = "tag:yaml.org,2002:merge"


class _Twice(Exception):
    """A key comes twice in a mapping; has both lines."""

    def __init__(self, key: object, first: int, second: int) -> None:
        super().__init__()
        self.key, self.first, self.second = key, first, second


class _Loader(yaml.SafeLoader):
    """The library's loader of plain values, made to refuse a key that comes twice."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Compose a mapping, as the library does.

        Raises:
            _Twice: A key comes twice.
        """
        node = super().compose_mapping_node(anchor)
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue
            key, line = self.construct_object(key_node), key_node.start_mark.line + 1
            if key in lines:
                raise _Twice(key, lines[key], line)
            lines[key] = line
        return node


def read_yaml(path: Path) -> Any:
    """Read a file of plain values.

    Args:
        path: The file.

    Returns:
        The content: mappings as dictionaries, sequences as lists.

    Raises:
        InputError: The text is not YAML or not UTF-8, too deep, or endless; or a key comes twice, of which the library
            would silently use the last.
    """
    text = read_text(path)
    try:
        content = yaml.load(text, Loader=_Loader)
    except _Twice as twice:
        wrong = f"the key {short_repr(twice.key)} stands here and in line {twice.first}: keep one of them"
        raise InputError(wrong, where=f"{path}:{twice.second}") from twice
    except yaml.YAMLError as error:
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
